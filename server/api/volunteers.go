package api

import (
	"encoding/hex"
	"net/http"

	"github.com/labstack/echo/v4"

	"potluck/server/ledger"
	"potluck/wire"
)

// ForgetMe erases what a volunteer is called. His secret says who he is.
func (a *API) ForgetMe(c echo.Context, params ForgetMeParams) error {
	secret, err := hex.DecodeString(params.PotluckSecret)
	if err != nil || !wire.SecretFits(secret) {
		return refuse(http.StatusUnprocessableEntity, "%s is the volunteer's secret in hexadecimal, of %d to %d bytes", wire.SecretHeader, wire.MinSecret, wire.MaxSecret)
	}
	if err := a.Ledger.SetAlias(c.Request().Context(), wire.VolunteerID(secret), ledger.Alias{}); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
