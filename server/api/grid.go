package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/server/ledger"
)

// ListPrograms lists the built-in programs.
func (a *API) ListPrograms(c echo.Context) error {
	all := []Program{}
	for _, b := range a.Library.Builtins() {
		all = append(all, viewProgram(b.ID, b.Manifest))
	}
	return c.JSON(http.StatusOK, all)
}

func viewProgram(id sandbox.ID, m *contract.Manifest) Program {
	return Program{
		ID: string(id), Name: m.Name, Title: m.Title, Summary: m.Summary, Parameters: m.Parameters,
		Result: m.Result, TakesInput: m.Split != "",
	}
}

// GetModule gives the bytes of a module; they never change.
func (a *API) GetModule(c echo.Context, id string) error {
	module, err := sandbox.ParseID(id)
	if err != nil {
		return refuse(http.StatusNotFound, "%v", err)
	}
	data, err := a.Library.Bytes(c.Request().Context(), module)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	return c.Blob(http.StatusOK, "application/wasm", data)
}

// GetModuleInfo says what a module is.
func (a *API) GetModuleInfo(c echo.Context, id string) error {
	module, err := sandbox.ParseID(id)
	if err != nil {
		return refuse(http.StatusNotFound, "%v", err)
	}
	m, err := a.Library.Info(c.Request().Context(), module)
	if err != nil {
		return err
	}
	return a.showModule(c, http.StatusOK, m)
}

func (a *API) showModule(c echo.Context, status int, m *ledger.Module) error {
	approved, err := a.approved(c.Request().Context(), names(m)...)
	if err != nil {
		return err
	}
	view := Module{
		ID: string(m.ID), Bytes: m.Bytes, Plain: m.Manifest == nil, Approved: approved,
		Source: string(m.Source), Profile: max(1, m.Profile),
	}
	if r := m.Report; r != nil {
		view.Features, view.Memory, view.Tables = r.Features, r.Memory, r.Tables
		view.Rewritten = Rewritten{Canonical: r.Canonical, Grows: r.Grows, Merged: r.Merged, Start: r.Start}
	}
	if m.Manifest != nil {
		view.Program = viewProgram(m.ID, m.Manifest)
	}
	return c.JSON(status, view)
}

// GetGrid gives the last sample.
func (a *API) GetGrid(c echo.Context) error {
	return c.JSON(http.StatusOK, a.hub.grid())
}

// GetHistory gives the last samples.
func (a *API) GetHistory(c echo.Context) error {
	return c.JSON(http.StatusOK, a.hub.samples())
}

// ListWorkers lists the connections of this server.
func (a *API) ListWorkers(c echo.Context) error {
	return c.JSON(http.StatusOK, a.Workers())
}

// GetLeaderboard lists who has done most.
func (a *API) GetLeaderboard(c echo.Context, params GetLeaderboardParams) error {
	limit, err := inRange("limit", params.Limit, 100, 1000)
	if err != nil {
		return err
	}
	if params.Days < 0 || params.Days > 3650 {
		return refuse(http.StatusUnprocessableEntity, "days is from 1 to 3650")
	}
	var since time.Time
	if params.Days > 0 {
		since = time.Now().AddDate(0, 0, -params.Days)
	}
	board := []Standing{}
	all := a.Ledger.Leaderboard(since, a.pending(c.Request().Context()))
	switch params.By {
	case "", GetLeaderboardParamsByVolunteer:
	case GetLeaderboardParamsByTeam:
		all = ledger.Teams(all)
	default:
		return refuse(http.StatusUnprocessableEntity, "by is volunteer or team, not %q", params.By)
	}
	for _, s := range all {
		if len(board) == limit {
			break
		}
		board = append(board, Standing{
			Volunteer: s.Volunteer, Name: s.Name, Team: s.Team, Members: s.Members, Tasks: s.Tasks, Seconds: float64(s.Millis) / 1000,
			PendingTasks: s.Pending.Tasks, PendingSeconds: float64(s.Pending.Millis) / 1000,
		})
	}
	return c.JSON(http.StatusOK, board)
}
