// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names what tests/e2e/build makes of go.etcd.io/etcd/server/v3.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
