module imgop.test/referrers-registry

go 1.26.0

require (
	github.com/google/go-containerregistry v0.22.1
	github.com/gorilla/handlers v1.5.2
)

require github.com/felixge/httpsnoop v1.0.4 // indirect
