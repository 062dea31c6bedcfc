// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names what tests/e2e/build makes of github.com/opencontainers/runc.
package tools

import (
	_ "github.com/opencontainers/runc"
)
