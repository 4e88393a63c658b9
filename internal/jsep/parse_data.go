package jsep

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
)

// data tells sections of data channels from others. In the old form the m= line
// has a port, and an attribute tells what it is for.
// https://datatracker.ietf.org/doc/html/draft-ietf-mmusic-sctp-sdp-14#section-4
func (r *sectionReader) data(m line, attributes []attribute) error {
	if r.Kind != KindData || !isDataProtocol(r.Protocol) {
		return nil
	}
	if slices.Contains(r.Formats, formatData) {
		r.Data = new(Data)

		return nil
	}

	for _, a := range attributes {
		if a.Key != "sctpmap" {
			continue
		}
		fields := strings.Fields(a.Value)
		if len(fields) < 2 {
			return a.fail(ErrSyntax, "an sctpmap has a port and a format")
		}
		if fields[0] == r.Formats[0] && fields[1] != formatData {
			return nil // an association for something else
		}
	}
	port, err := parseNumber(r.Formats[0], maxPort)
	switch {
	case r.Rejected:
		// Nobody will use it, and some peers write "0" then.
	case err != nil:
		return m.fail(ErrSyntax, "the format is neither %s nor a port of SCTP", formatData)
	case port == 0:
		return m.fail(ErrSyntax, "0 is no port of SCTP")
	}
	r.Data = &Data{Port: uint16(port)}

	return nil
}

// isDataProtocol tells the protocols of SCTP over DTLS.
func isDataProtocol(protocol string) bool {
	return protocol == protocolData || protocol == protocolDataTCP || protocol == protocolDataOld
}

// dataAttribute reads an attribute of the association.
func (r *sectionReader) dataAttribute(a attribute) (known bool, err error) {
	value := strings.TrimSpace(a.Value)
	switch a.Key {
	case "sctp-port":
		// https://www.rfc-editor.org/rfc/rfc8841#section-5
		port, err := parseNumber(value, maxPort)
		switch {
		case err != nil:
			return true, a.fail(ErrSyntax, "the port: %w", err)
		case port == 0:
			return true, a.fail(ErrSyntax, "0 is no port of SCTP")
		case r.Data.Port != 0 && r.Data.Port != uint16(port):
			return true, a.fail(ErrContradiction, "port %d before this one", r.Data.Port)
		}
		r.Data.Port = uint16(port)
	case "max-message-size":
		// https://www.rfc-editor.org/rfc/rfc8841#section-6
		size, err := parseNumber(value, math.MaxUint64)
		switch {
		case err != nil:
			return true, a.fail(ErrSyntax, "the size: %w", err)
		case r.Data.MaxMessageSize != nil && *r.Data.MaxMessageSize != size:
			return true, a.fail(ErrContradiction, "%d before this one", *r.Data.MaxMessageSize)
		}
		r.Data.MaxMessageSize = &size
	case "sctp-init":
		// https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/
		if _, err := base64.StdEncoding.DecodeString(value); err != nil || value == "" {
			return true, a.fail(ErrSyntax, "no base64")
		}

		return true, once(a, &r.Data.Init, value)
	default:
		return false, nil
	}

	return true, nil
}
