module sarf/interop

go 1.23.0

require github.com/moov-io/iso8583 v0.24.0

require (
	github.com/yerden/go-util v1.1.4 // indirect
	golang.org/x/text v0.28.0 // indirect
)
