package webrtc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/pion/stun/v4"
)

// Why an ICEServer was refused; ErrInvalidArgument matches too.
var (
	// ErrNoTurnCredentials is a TURN server without a username or credential.
	ErrNoTurnCredentials = errors.New("TURN server without a username or credential")

	// ErrTurnCredentials is a TURN server whose credential is not of its
	// CredentialType.
	ErrTurnCredentials = errors.New("TURN server's credential is not of its type")
)

// ICEServer is one STUN or TURN server, under one or more URLs.
// https://www.w3.org/TR/webrtc/#dom-rtciceserver
type ICEServer struct {
	// URLs are stun:, stuns:, turn: and turns: URLs.
	// https://www.rfc-editor.org/rfc/rfc7064
	// https://www.rfc-editor.org/rfc/rfc7065
	URLs []string `json:"urls"`
	// Username is for TURN.
	Username string `json:"username,omitempty"`
	// Credential is for TURN: a string, or an OAuthCredential, as
	// CredentialType says.
	Credential     any               `json:"credential,omitempty"`
	CredentialType ICECredentialType `json:"credentialType,omitempty"`
}

// OAuthCredential is a TURN server's token. The key id is the server's
// Username. https://www.rfc-editor.org/rfc/rfc7635
type OAuthCredential struct {
	// MACKey is the key for the message integrity, base64url.
	MACKey string
	// AccessToken is what the server reads the key from, base64.
	AccessToken string
}

// urls returns the parsed URLs with the credentials that each needs.
func (s ICEServer) urls() ([]*stun.URI, error) {
	parsed := make([]*stun.URI, 0, len(s.URLs))
	for _, text := range s.URLs {
		uri, err := s.parseURL(text)
		if err != nil {
			return nil, fmt.Errorf("%w: ICE server %q: %w", ErrInvalidArgument, clip(text), err)
		}
		parsed = append(parsed, uri)
	}

	return parsed, nil
}

// serverURL is a URL as it was configured, and what it says.
type serverURL struct {
	*stun.URI

	text string
}

// serverURLs are the URLs of all servers, in order, or the first reason that
// one cannot be used.
func serverURLs(servers []ICEServer) ([]serverURL, error) {
	var all []serverURL
	for _, s := range servers {
		urls, err := s.urls()
		if err != nil {
			return nil, err
		}
		for i, url := range urls {
			all = append(all, serverURL{url, s.URLs[i]})
		}
	}

	return all, nil
}

func (s ICEServer) parseURL(text string) (*stun.URI, error) {
	uri, err := stun.ParseURI(text)
	if err != nil {
		return nil, err
	}
	_, query, _ := strings.Cut(text, "?")
	switch {
	case uri.Port < 1 || uri.Port > math.MaxUint16:
		return nil, stun.ErrPort
	case strings.ContainsAny(uri.Host, " /\\@") || strings.Contains(text, "#"):
		return nil, stun.ErrHost
	case strings.Contains(query, "&"):
		return nil, stun.ErrInvalidQuery
	}
	if uri.Scheme != stun.SchemeTypeTURN && uri.Scheme != stun.SchemeTypeTURNS {
		return uri, nil
	}

	// https://www.w3.org/TR/webrtc/#set-the-configuration
	if s.Username == "" || s.Credential == nil {
		return nil, ErrNoTurnCredentials
	}
	password, isPassword := s.Credential.(string)
	_, isToken := s.Credential.(OAuthCredential)
	fits := map[ICECredentialType]bool{
		ICECredentialTypePassword: isPassword,
		ICECredentialTypeOauth:    isToken,
	}
	if !fits[s.CredentialType] {
		return nil, ErrTurnCredentials
	}
	uri.Username, uri.Password = s.Username, password

	return uri, nil
}

// MarshalJSON returns an object of urls, credentialType and, if set, username
// and credential.
func (s ICEServer) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Credential     any               `json:"credential,omitempty"`
		CredentialType ICECredentialType `json:"credentialType"`
		URLs           []string          `json:"urls"`
		Username       string            `json:"username,omitempty"`
	}{s.Credential, s.CredentialType, s.URLs, s.Username})
}

// UnmarshalJSON reads the object that MarshalJSON writes. Without a
// credentialType it is "password". On an error, which is ErrInvalidArgument or
// ErrUnknownType, the server is left as it was.
func (s *ICEServer) UnmarshalJSON(data []byte) error {
	const op = "parse ICEServer"
	if s == nil {
		return refuse(op, ErrInvalidArgument, "nil receiver")
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return refuse(op, ErrInvalidArgument, "not an object")
	}
	fields := struct {
		URLs           []string          `json:"urls"`
		Username       string            `json:"username"`
		Credential     json.RawMessage   `json:"credential"`
		CredentialType ICECredentialType `json:"credentialType"`
	}{Username: s.Username}
	if err := json.Unmarshal(data, &fields); err != nil {
		return refuse(op, ErrInvalidArgument, "%w", err)
	}
	credential := s.Credential
	if len(fields.Credential) > 0 {
		var err error
		if credential, err = parseCredential(fields.CredentialType, fields.Credential); err != nil {
			return refuse(op, ErrInvalidArgument, "credential: %w", err)
		}
	}
	if fields.URLs == nil {
		fields.URLs = []string{}
	}
	*s = ICEServer{fields.URLs, fields.Username, credential, fields.CredentialType}

	return nil
}

// parseCredential reads a token for OAuth, and for a password any value: urls
// refuses what is no string, if the server needs one at all.
func parseCredential(kind ICECredentialType, data []byte) (any, error) {
	if kind != ICECredentialTypeOauth {
		var value any
		err := json.Unmarshal(data, &value)

		return value, err
	}
	var token struct{ MACKey, AccessToken *string }
	if err := json.Unmarshal(data, &token); err != nil {
		return nil, err
	}
	if token.MACKey == nil || token.AccessToken == nil {
		return nil, errors.New("MACKey or AccessToken is missing")
	}

	return OAuthCredential{MACKey: *token.MACKey, AccessToken: *token.AccessToken}, nil
}
