// A registry with the referrers API (OCI distribution-spec 1.1), which neither
// Debian's docker-registry nor CNCF distribution has: the one of
// google/go-containerregistry. It keeps everything in memory, speaks plain HTTP
// to anyone, and writes an access log to standard output.
//
//	referrers-registry HOST:PORT
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/gorilla/handlers"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: referrers-registry HOST:PORT")
	}
	serve := registry.New(registry.WithReferrersSupport(true))
	log.Fatal(http.ListenAndServe(os.Args[1], handlers.CombinedLoggingHandler(os.Stdout, serve)))
}
