package main

import "context"

type pardonCommand struct {
	grid
	ID string `arg:"" help:"The volunteer's id, as on the leaderboard and in the log."`
}

// Run pardons a volunteer.
func (p *pardonCommand) Run(ctx context.Context) error {
	c, err := p.client()
	if err != nil {
		return err
	}
	answer, err := c.PardonWithResponse(ctx, p.ID)
	if err != nil {
		return p.unreached(err)
	}
	return problem(answer, answer.ApplicationProblemJSONDefault)
}
