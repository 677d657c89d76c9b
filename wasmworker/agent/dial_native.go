//go:build !js

package agent

import (
	"net/http"

	"github.com/coder/websocket"
)

// dialOptions uses the agent's HTTP client, with its proxy and certificates.
func dialOptions(c *http.Client) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPClient: c}
}
