package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/server/dispatch"
	"potluck/server/ledger"
)

const (
	usualTiles = 1024
	maxTiles   = 4096
	// fineTiles are asked for of a job's owner, once for all who look on, and
	// put together to the number that each wants. A tile of a job that has more
	// tasks than this is therefore a little larger than it would have to be.
	fineTiles = 16 * maxTiles
)

// GetTiles gives the states of all tasks at a glance.
func (a *API) GetTiles(c echo.Context, id string, params GetTilesParams) error {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return err
	}
	count, err := inRange("count", params.Count, usualTiles, maxTiles)
	if err != nil {
		return err
	}
	if j.State == ledger.Done {
		return c.JSON(http.StatusOK, fullTiles(j.Tasks, count))
	}
	fine, err := a.tiles.get(c.Request().Context(), id, func(made[dispatch.Tiles]) made[dispatch.Tiles] { return a.makeTiles(id) })
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, coarseTiles(fine, j.Tasks, count))
}

func (a *API) makeTiles(id string) (now made[dispatch.Tiles]) {
	ctx, cancel := context.WithTimeout(a.ctx, 10*time.Second)
	defer cancel()
	data, err := a.ask(ctx, id, dispatch.Query{Want: dispatch.WantTiles, N: fineTiles})
	if err == nil {
		err = dispatch.Decode(data, &now.value)
	}
	now.err, now.cheap, now.bytes = err, err != nil, 4*4*len(now.value.Done)
	return now
}

// coarseTiles puts fine tiles together so that there are at most count.
func coarseTiles(fine dispatch.Tiles, tasks, count int) Tiles {
	wanted := (tasks + count - 1) / count
	together := (wanted + fine.Size - 1) / fine.Size
	size := together * fine.Size
	sum := func(fine []uint32) []int {
		coarse := make([]int, (tasks+size-1)/size)
		for i, n := range fine {
			coarse[i/together] += int(n)
		}
		return coarse
	}
	return Tiles{Size: size, Done: sum(fine.Done), Lent: sum(fine.Lent), Voting: sum(fine.Voting), Failed: sum(fine.Failed)}
}

// fullTiles are the tiles of a job that is done.
func fullTiles(tasks, count int) Tiles {
	t := coarseTiles(dispatch.Tiles{Size: 1}, tasks, count)
	for i := range t.Done {
		t.Done[i] = min(t.Size, tasks-i*t.Size)
	}
	return t
}
