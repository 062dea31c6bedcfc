// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names what tests/e2e/build makes of github.com/fullstorydev/grpcurl.
package tools

import (
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
)
