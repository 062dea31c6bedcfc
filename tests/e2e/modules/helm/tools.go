// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names what tests/e2e/build makes of helm.sh/helm/v4.
package tools

import (
	_ "helm.sh/helm/v4/cmd/helm"
)
