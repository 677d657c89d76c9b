package api

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/schedule"
	"potluck/wire"
)

// ForgetMe erases what a volunteer is called. Their secret says who they are.
func (a *API) ForgetMe(c echo.Context, params ForgetMeParams) error {
	secret, err := hex.DecodeString(params.PotluckSecret)
	if err != nil || !wire.SecretFits(secret) {
		return refuse(http.StatusUnprocessableEntity, "%s is the volunteer's secret in hexadecimal, of %d to %d bytes", wire.SecretHeader, wire.MinSecret, wire.MaxSecret)
	}
	id := wire.VolunteerID(secret)
	if err := a.Ledger.Conn().Publish(dispatch.SubjectForget, []byte(id)); err != nil { // where they are connected their name may not be stored yet
		return err
	}
	if err := a.Ledger.SetAlias(c.Request().Context(), id, ledger.Alias{}); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// GetVolunteer says what the grid thinks of a volunteer, and their credit.
func (a *API) GetVolunteer(c echo.Context, id string) error {
	if err := isVolunteer(id); err != nil {
		return err
	}
	r, s := a.Ledger.Reputation(id), a.Ledger.StandingOf(id, a.pending(c.Request().Context()))
	return c.JSON(http.StatusOK, Volunteer{
		Volunteer: id, Name: s.Name, Team: s.Team,
		Trust: trusts[r.Standing], Reason: r.Reason, Proven: r.Proven, Probation: schedule.Probation, Answered: r.Answered, Checked: r.Checked,
		Tasks: s.Tasks, Seconds: float64(s.Millis) / 1000, PendingTasks: s.Pending.Tasks, PendingSeconds: float64(s.Pending.Millis) / 1000,
	})
}

// isVolunteer says what is wrong with the id of a volunteer, if anything.
func isVolunteer(id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != len(wire.VolunteerID(nil))/2 || strings.ToLower(id) != id {
		return refuse(http.StatusNotFound, "%q is no volunteer: the id has %d hexadecimal digits, as on the leaderboard", id, len(wire.VolunteerID(nil)))
	}
	return nil
}

// Pardon lifts the quarantine of a volunteer.
func (a *API) Pardon(c echo.Context, id string) error {
	err := isVolunteer(id)
	if err == nil {
		err = a.Ledger.Pardon(c.Request().Context(), id)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		return refuse(http.StatusConflict, "volunteer %s is not in quarantine", id)
	}
	if err != nil {
		return err
	}
	a.Log.Info("a volunteer was pardoned", "volunteer", id, "by", callerOf(c).owner())
	return c.NoContent(http.StatusNoContent)
}

// trusts are the words for standings.
var trusts = map[schedule.Standing]VolunteerTrust{
	schedule.Newcomer: VolunteerTrustNewcomer, schedule.Established: VolunteerTrustEstablished, schedule.Quarantined: VolunteerTrustQuarantined,
}
