package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// Claims returns all claims of a data directory. The daemon is asked if one serves it.
func (c *Client) Claims(ctx context.Context, root string) ([]local.ClaimStatus, error) {
	var list []local.ClaimStatus
	err := c.call(ctx, http.MethodGet, "/v1/claims", nil, &list)
	if errors.Is(err, ErrNotServing) {
		return local.Claims(root)
	}
	return list, err
}

// RemoveClaim removes a claim of a data directory with its files.
func (c *Client) RemoveClaim(ctx context.Context, root, namespace, name string) error {
	err := c.call(ctx, http.MethodDelete, "/v1/claims/"+url.PathEscape(namespace)+"/"+url.PathEscape(name), nil, &struct{}{})
	if errors.Is(err, ErrNotServing) {
		return local.RemoveClaim(root, namespace, name)
	}
	return err
}

// ParseClaim parses NAME, which is in a namespace or in "default" if that is empty, or
// NAMESPACE/NAME.
func ParseClaim(s, in string) (namespace, name string, err error) {
	namespace, name, found := strings.Cut(s, "/")
	if !found {
		namespace, name = cmp.Or(in, "default"), s
	}
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%q: want NAME or NAMESPACE/NAME", s)
	}
	return namespace, name, nil
}

// ClaimsOf returns the claims that manifests declare, and those that were created for the
// pods of StatefulSets.
func (c *Client) ClaimsOf(ctx context.Context, root string, files []manifest.File, keys []local.Key) ([]local.ClaimStatus, error) {
	if !local.MayHaveClaims(files, keys) {
		return nil, nil
	}
	list, err := c.Claims(ctx, root)
	return local.ClaimsOf(list, files, keys), err
}
