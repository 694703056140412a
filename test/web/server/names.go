package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// handleNames adds pages that show what the pod's resolver and environment know.
func handleNames(mux *http.ServeMux) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	mux.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		resp, err := client.Get(r.FormValue("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
	mux.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, lookup(r.Context(), r.FormValue("name")))
	})
	mux.HandleFunc("/resolv.conf", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "/etc/resolv.conf") })
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {
		env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return !strings.HasPrefix(kv, r.FormValue("prefix")) })
		slices.Sort(env)
		fmt.Fprint(w, strings.Join(env, "\n"))
	})
}

func lookup(ctx context.Context, name string) string {
	if strings.HasPrefix(name, "_") {
		_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
		if err != nil {
			return err.Error()
		}
		var list []string
		for _, r := range records {
			list = append(list, fmt.Sprintf("%s:%d", r.Target, r.Port))
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	list, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err.Error()
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
