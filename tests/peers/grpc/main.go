// SPDX-License-Identifier: Apache-2.0

// The kubelet's side: grpc-go with the kubelet's own generated clients, against the server program
// that os.Args[1] names. Prints TAP.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	healthv1 "k8s.io/kubelet/pkg/apis/dra-health/v1"
	healthv1alpha1 "k8s.io/kubelet/pkg/apis/dra-health/v1alpha1"
	drav1 "k8s.io/kubelet/pkg/apis/dra/v1"
	drav1beta1 "k8s.io/kubelet/pkg/apis/dra/v1beta1"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const patience = 20 * time.Second

// raw hands bytes through, whatever they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }
func (raw) Name() string                       { return "proto" }

type test struct {
	conn   *grpc.ClientConn
	socket string
	server *exec.Cmd
}

func (t *test) call(ctx context.Context, method string, in []byte, options ...grpc.CallOption) ([]byte, error) {
	var out []byte
	options = append(options, grpc.ForceCodec(raw{}))
	err := t.conn.Invoke(ctx, "/test.Echo/"+method, &in, &out, options...)
	return out, err
}

func same[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, expected %v", what, got, want)
	}
	return nil
}

func hasStatus(err error, code codes.Code, message string) error {
	s, _ := status.FromError(err)
	return errors.Join(same("code", s.Code(), code), same("message", s.Message(), message))
}

func unary(ctx context.Context, t *test) error {
	for _, size := range []int{0, 1, 100, 70000, 1 << 20} {
		in := bytes.Repeat([]byte{'x'}, size)
		out, err := t.call(ctx, "Say", in)
		if err != nil || !bytes.Equal(in, out) {
			return fmt.Errorf("%d bytes: %d came back, %v", size, len(out), err)
		}
	}
	return nil
}

func together(ctx context.Context, t *test) error {
	var group sync.WaitGroup
	faults := make(chan error, 200)
	for i := range 200 {
		group.Go(func() {
			in := bytes.Repeat([]byte{byte(i)}, 50*i)
			out, err := t.call(ctx, "Say", in)
			if err != nil || !bytes.Equal(in, out) {
				faults <- fmt.Errorf("call %d: %v", i, err)
			}
		})
	}
	group.Wait()
	close(faults)
	return <-faults
}

func limits(ctx context.Context, t *test) error {
	_, err := t.call(ctx, "Say", make([]byte, 1<<20+1))
	if err := same("request", status.Code(err), codes.ResourceExhausted); err != nil {
		return err
	}
	out, err := t.call(ctx, "TooLong", nil)
	if err != nil || len(out) != 4<<20 {
		return fmt.Errorf("longest answer: %d bytes, %v", len(out), err)
	}
	_, err = t.call(ctx, "TooLong", []byte{1})
	return hasStatus(err, codes.ResourceExhausted, "the answer is longer than 4 MiB")
}

func statuses(ctx context.Context, t *test) error {
	_, err := t.call(ctx, "Fail", nil)
	if err := hasStatus(err, codes.FailedPrecondition, "9 ms asked, 0.85 CPU free: 85 %\nreally ½"); err != nil {
		return err
	}
	_, err = t.call(ctx, "Nothing", nil)
	if err := hasStatus(err, codes.Unimplemented, `there is no method "/test.Echo/Nothing"`); err != nil {
		return err
	}
	_, err = t.call(ctx, "Say", []byte("hello"), grpc.UseCompressor(gzip.Name))
	return hasStatus(err, codes.Unimplemented, "grpc-encoding: only identity is known here")
}

// held waits until the server holds so many calls.
func held(ctx context.Context, t *test, want byte) error {
	for {
		out, err := t.call(ctx, "Count", nil)
		if err != nil || len(out) != 1 {
			return fmt.Errorf("count: %v", err)
		}
		if out[0] == want {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func cancelled(ctx context.Context, t *test) error {
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err := t.call(short, "Hold", nil)
	if err := same("deadline", status.Code(err), codes.DeadlineExceeded); err != nil {
		return err
	}
	if err := held(ctx, t, 0); err != nil {
		return err
	}
	mine, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error)
	go func() {
		_, err := t.call(mine, "Hold", nil)
		ended <- err
	}()
	if err := held(ctx, t, 1); err != nil {
		return err
	}
	stop()
	return errors.Join(same("cancel", status.Code(<-ended), codes.Canceled), held(ctx, t, 0))
}

func registers(ctx context.Context, t *test) error {
	client := registration.NewRegistrationClient(t.conn)
	info, err := client.GetInfo(ctx, &registration.InfoRequest{})
	if err != nil {
		return err
	}
	got := fmt.Sprint(info.Type, " ", info.Name, " ", info.Endpoint, " ", info.SupportedVersions)
	if err := same("info", got, "DRAPlugin rt.takt.dev /dra.sock [v1.DRAPlugin v1beta1.DRAPlugin v1alpha1.DRAResourceHealth]"); err != nil {
		return err
	}
	_, err = client.NotifyRegistrationStatus(ctx, &registration.RegistrationStatus{PluginRegistered: true, Error: "none"})
	if err != nil {
		return err
	}
	_, err = client.NotifyRegistrationStatus(ctx, &registration.RegistrationStatus{Error: "full"})
	return hasStatus(err, codes.InvalidArgument, "another status was expected")
}

func prepares(ctx context.Context, t *test) error {
	client := drav1.NewDRAPluginClient(t.conn)
	claims := []*drav1.Claim{{Namespace: "a", Uid: "u1", Name: "camera"}, {Namespace: "a", Uid: "u2", Name: "bad"}}
	answer, err := client.NodePrepareResources(ctx, &drav1.NodePrepareResourcesRequest{Claims: claims})
	if err != nil {
		return err
	}
	good, bad := answer.Claims["u1"], answer.Claims["u2"]
	if len(answer.Claims) != 2 || good == nil || len(good.Devices) != 1 || bad == nil {
		return fmt.Errorf("claims: %v", answer)
	}
	d := good.Devices[0]
	got := fmt.Sprint(d.RequestNames, d.PoolName, d.DeviceName, d.CdiDeviceIds, d.GetShareId(), good.Error, bad.Error, len(bad.Devices))
	if err := same("device", got, "[cpu]node1shared[rt.takt.dev/reservation=camera]sharedoes not fit0"); err != nil {
		return err
	}
	gone, err := client.NodeUnprepareResources(ctx, &drav1.NodeUnprepareResourcesRequest{Claims: claims})
	if err != nil || len(gone.Claims) != 2 || gone.Claims["u1"].GetError() != "" {
		return fmt.Errorf("unprepare: %v, %v", gone, err)
	}
	empty, err := client.NodePrepareResources(ctx, &drav1.NodePrepareResourcesRequest{})
	if err != nil || len(empty.Claims) != 0 {
		return fmt.Errorf("no claims: %v, %v", empty, err)
	}
	return nil
}

func preparesOld(ctx context.Context, t *test) error {
	client := drav1beta1.NewDRAPluginClient(t.conn)
	claims := []*drav1beta1.Claim{{Namespace: "a", Uid: "u1", Name: "camera"}}
	answer, err := client.NodePrepareResources(ctx, &drav1beta1.NodePrepareResourcesRequest{Claims: claims})
	if err != nil || len(answer.Claims) != 1 || len(answer.Claims["u1"].Devices) != 1 {
		return fmt.Errorf("prepare: %v, %v", answer, err)
	}
	if err := same("device", answer.Claims["u1"].Devices[0].DeviceName, "shared"); err != nil {
		return err
	}
	_, err = client.NodeUnprepareResources(ctx, &drav1beta1.NodeUnprepareResourcesRequest{Claims: claims})
	return err
}

func watches(ctx context.Context, t *test) error {
	mine, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := healthv1.NewDRAResourceHealthClient(t.conn).NodeWatchResources(mine, &healthv1.NodeWatchResourcesRequest{})
	if err != nil {
		return err
	}
	for range 50 {
		list, err := stream.Recv()
		if err != nil || len(list.Devices) != 1000 {
			return fmt.Errorf("list: %v", err)
		}
		d := list.Devices[998]
		got := fmt.Sprint(d.Device.PoolName, d.Device.DeviceName, d.Health, d.LastUpdatedTime, d.HealthCheckTimeoutSeconds, d.Message)
		if err := same("device", got, "node1cpu998UNHEALTHY 1790000998 30CPU is offline"); err != nil {
			return err
		}
	}
	// Not read for a while: its window is shut, and other calls pass.
	time.Sleep(100 * time.Millisecond)
	if _, err := t.call(ctx, "Say", []byte("hello")); err != nil {
		return err
	}
	stop()
	return held(ctx, t, 0)
}

func watchesOld(ctx context.Context, t *test) error {
	mine, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := healthv1alpha1.NewDRAResourceHealthClient(t.conn).NodeWatchResources(mine, &healthv1alpha1.NodeWatchResourcesRequest{})
	if err != nil {
		return err
	}
	list, err := stream.Recv()
	if err != nil || len(list.Devices) != 1000 || list.Devices[999].Health != healthv1alpha1.HealthStatus_HEALTHY {
		return fmt.Errorf("list: %v", err)
	}
	stop()
	return held(ctx, t, 0)
}

// authorities dials as kubelets of several ages do.
func authorities(ctx context.Context, t *test) error {
	dialer := func(context.Context, string) (net.Conn, error) { return net.Dial("unix", t.socket) }
	for _, target := range []string{"passthrough:///" + t.socket, "passthrough:///x"} {
		for _, authority := range []string{"", "localhost", t.socket} {
			options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dialer)}
			if authority != "" {
				options = append(options, grpc.WithAuthority(authority))
			}
			conn, err := grpc.NewClient(target, options...)
			if err != nil {
				return err
			}
			_, err = registration.NewRegistrationClient(conn).GetInfo(ctx, &registration.InfoRequest{})
			conn.Close()
			if err != nil {
				return fmt.Errorf("%s, authority %q: %w", target, authority, err)
			}
		}
	}
	return nil
}

// ends: a call that was begun is answered after SIGTERM, and the server exits by itself.
func ends(ctx context.Context, t *test) error {
	stream, err := healthv1.NewDRAResourceHealthClient(t.conn).NodeWatchResources(ctx, &healthv1.NodeWatchResourcesRequest{})
	if err != nil {
		return err
	}
	ended := make(chan error)
	go func() {
		_, err := t.call(ctx, "Hold", nil)
		ended <- err
	}()
	if err := held(ctx, t, 2); err != nil {
		return err
	}
	if err := t.server.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if err := hasStatus(err, codes.Unavailable, "the plugin ends"); err != nil || errors.Is(err, io.EOF) {
		return err
	}
	if err := hasStatus(<-ended, codes.Unavailable, "the plugin ends"); err != nil {
		return err
	}
	return t.server.Wait()
}

func start(server, folder string) (*test, error) {
	t := &test{socket: filepath.Join(folder, "plugin.sock"), server: exec.Command(server, filepath.Join(folder, "plugin.sock"))}
	t.server.Stderr = os.Stderr
	if err := t.server.Start(); err != nil {
		return nil, err
	}
	for range 6000 {
		if _, err := os.Stat(t.socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	var err error
	t.conn, err = grpc.NewClient("unix:"+t.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return t, err
}

func main() {
	folder, err := os.MkdirTemp("", "takt-grpc-")
	if err != nil {
		fmt.Println("Bail out!", err)
		os.Exit(1)
	}
	defer os.RemoveAll(folder)
	t, err := start(os.Args[1], folder)
	if err != nil {
		os.RemoveAll(folder)
		fmt.Println("Bail out!", err)
		os.Exit(1)
	}
	defer t.server.Process.Kill()
	tests := []struct {
		sentence string
		run      func(context.Context, *test) error
	}{
		{"messages of all lengths come back", unary},
		{"200 calls at a time come back", together},
		{"what is too long is refused, in both directions", limits},
		{"a status arrives with its sentence", statuses},
		{"a call that is given up is told to the server", cancelled},
		{"the kubelet registers a plugin", registers},
		{"the kubelet prepares and unprepares claims", prepares},
		{"a kubelet of 1.33 prepares and unprepares claims", preparesOld},
		{"the kubelet watches the health of 1,000 devices", watches},
		{"a kubelet of 1.36 watches the health of 1,000 devices", watchesOld},
		{"any authority is taken", authorities},
		{"what was begun is finished at the end", ends},
	}
	fmt.Printf("1..%d\n", len(tests))
	for i, test := range tests {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		word := "ok"
		if err := test.run(ctx, t); err != nil {
			word = "not ok"
			fmt.Printf("# %s\n", err)
		}
		cancel()
		fmt.Printf("%s %d - %s\n", word, i+1, test.sentence)
	}
}
