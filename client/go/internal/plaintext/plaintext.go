// Package plaintext has credentials for gRPC that encrypt nothing. gRPC has its own, under other names
// in older and in newer versions.
package plaintext

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
)

// New makes credentials that encrypt nothing.
func New() credentials.TransportCredentials { return transport{} }

type transport struct{}

type info struct{ credentials.CommonAuthInfo }

func (info) AuthType() string { return "plain text" }

func (transport) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return conn, info{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
}

func (transport) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return conn, info{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
}

func (transport) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "insecure"}
}

func (transport) Clone() credentials.TransportCredentials { return transport{} }

func (transport) OverrideServerName(string) error { return nil }
