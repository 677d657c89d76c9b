package agent

import (
	"net/http"

	"github.com/coder/websocket"
)

// dialOptions has nothing to say: the browser makes the connection.
func dialOptions(*http.Client) *websocket.DialOptions { return nil }
