// A real Go program for the interop tests: it finds certificates, time zones and its user.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"runtime"
	"strings"
	"time"
)

func main() {
	fmt.Printf("platform %s/%s\n", runtime.GOOS, runtime.GOARCH)
	fmt.Printf("arguments %s\n", strings.Join(os.Args[1:], " "))
	fmt.Printf("certificates %s\n", certificates())
	fmt.Printf("time %s\n", berlin())
	fmt.Printf("user %s\n", name())
	fmt.Printf("https %s\n", https())
}

func certificates() string {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return err.Error()
	}
	//lint:ignore SA1019 it is the only way to count them
	if count := len(pool.Subjects()); count < 100 {
		return fmt.Sprintf("only %d", count)
	}
	return "found"
}

func berlin() string {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return err.Error()
	}
	return time.Unix(0, 0).In(zone).Format(time.RFC3339)
}

func name() string {
	own, err := user.Current()
	if err != nil {
		return err.Error()
	}
	return own.Username + " " + own.HomeDir
}

// https talks to itself: a certificate that no system authority has issued is refused.
func https() string {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello over TLS")
	}))
	defer server.Close()
	strict := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{}}}
	if _, err := strict.Get(server.URL); err == nil {
		return "accepted an unknown authority"
	}
	response, err := server.Client().Get(server.URL)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
