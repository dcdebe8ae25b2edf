// A client made of github.com/moov-io/iso8583 as it ships. Standard input has one message a line: the MTI, then
// number=value for each field, all separated by tabs. A message is sent when its line is read. An empty line asks for
// the answers to all that were sent since the last one: one line of JSON each, in the order in which they come.
//
// Arguments: host, port.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/network"
	"github.com/moov-io/iso8583/specs"
)

const answerTimeout = 30 * time.Second

func main() {
	if err := converse(net.JoinHostPort(os.Args[1], os.Args[2])); err != nil {
		log.Fatal(err)
	}
}

func converse(address string) error {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	out := json.NewEncoder(os.Stdout)
	unanswered := 0
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if line := lines.Text(); line != "" {
			if err := send(connection, line); err != nil {
				return err
			}
			unanswered++
			continue
		}
		for ; unanswered > 0; unanswered-- {
			answer, err := receive(connection)
			if err != nil {
				return err
			}
			if err := out.Encode(answer); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

func send(connection net.Conn, line string) error {
	parts := strings.Split(line, "\t")
	message := iso8583.NewMessage(specs.Spec87ASCII)
	message.MTI(parts[0])
	for _, part := range parts[1:] {
		number, value, _ := strings.Cut(part, "=")
		id, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		if err := message.Field(id, value); err != nil {
			return fmt.Errorf("field %d: %w", id, err)
		}
	}
	packed, err := message.Pack()
	if err != nil {
		return err
	}
	header := network.NewASCII4BytesHeader()
	header.SetLength(len(packed))
	if _, err := header.WriteTo(connection); err != nil {
		return err
	}
	_, err = connection.Write(packed)
	return err
}

type answer struct {
	MTI    string            `json:"mti"`
	Header string            `json:"header"`
	Fields map[string]string `json:"fields"`
}

func receive(connection net.Conn) (*answer, error) {
	if err := connection.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	header := network.NewASCII4BytesHeader()
	if _, err := header.ReadFrom(connection); err != nil {
		return nil, err
	}
	packed := make([]byte, header.Length())
	if _, err := io.ReadFull(connection, packed); err != nil {
		return nil, err
	}
	message := iso8583.NewMessage(specs.Spec87ASCII)
	if err := message.Unpack(packed); err != nil {
		return nil, fmt.Errorf("%w: %q", err, packed)
	}
	mti, err := message.GetMTI()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for id := range message.GetFields() {
		// 0 is the MTI, 1 the bitmap.
		if id < 2 {
			continue
		}
		if fields[strconv.Itoa(id)], err = message.GetString(id); err != nil {
			return nil, err
		}
	}
	return &answer{MTI: mti, Fields: fields}, nil
}
