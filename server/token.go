package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"potluck/client"
	"potluck/client/terminal"
	"potluck/sandbox"
)

type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token and print it; it is shown this once."`
	List   tokenListCommand   `cmd:"" help:"List tokens, without what they are made of."`
	Revoke tokenRevokeCommand `cmd:"" help:"End a token, at once."`
}

type tokenCreateCommand struct {
	remote
	Role    string        `help:"What its holder may do: admin, submitter or runner." enum:"admin,submitter,runner" required:""`
	Name    string        `help:"What it is for, or whose it is."`
	Expires time.Duration `help:"How long it is good, like 720h; for ever without."`
}

// Run makes a token.
func (t *tokenCreateCommand) Run(ctx context.Context) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	wanted := client.NewToken{Role: client.Role(t.Role), Name: t.Name}
	if t.Expires != 0 {
		wanted.Expires = time.Now().Add(t.Expires)
	}
	answer, err := c.CreateTokenWithResponse(ctx, wanted)
	if err != nil {
		return t.unreached(err)
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if t.JSON {
		return printJSON(answer.JSON201)
	}
	fmt.Fprintf(os.Stderr, "token %s of role %s; keep it safe, it is not shown again:\n", answer.JSON201.ID, answer.JSON201.Role)
	fmt.Println(answer.JSON201.Token)
	return nil
}

type tokenListCommand struct{ remote }

// Run lists tokens.
func (t *tokenListCommand) Run(ctx context.Context) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	answer, err := c.ListTokensWithResponse(ctx)
	if err != nil {
		return t.unreached(err)
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if t.JSON {
		return printJSON(answer.JSON200)
	}
	w := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tROLE\tCREATED\tEXPIRES\tLAST USED\tNAME")
	for _, one := range *answer.JSON200 {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", one.ID, one.Role, day(one.Created, ""), day(one.Expires, "never"), day(one.Used, "never"), one.Name)
	}
	return w.Flush()
}

// day writes a time to the hour, or what stands for none.
func day(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.Local().Format("2006-01-02 15h")
}

type tokenRevokeCommand struct {
	grid
	ID string `arg:"" help:"Id of the token: what stands in it between the two underscores."`
}

// Run revokes a token.
func (t *tokenRevokeCommand) Run(ctx context.Context) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	answer, err := c.RevokeTokenWithResponse(ctx, t.ID)
	if err != nil {
		return t.unreached(err)
	}
	return problem(answer, answer.ApplicationProblemJSONDefault)
}

type approveCommand struct {
	grid
	Module   string `arg:"" help:"A .wasm file, which is published, its SHA-256, or the id of a module."`
	Withdraw bool   `help:"Take the approval back; jobs that run go on."`
}

// Run approves a module, and prints the hash that the approval names.
func (a *approveCommand) Run(ctx context.Context) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	id := a.Module
	if strings.HasSuffix(id, ".wasm") {
		m, err := publish(ctx, c, a.Module)
		if err != nil {
			return err
		}
		fmt.Fprintln(terminal.Err, aboutModule(m))
		data, err := os.ReadFile(a.Module)
		if err != nil {
			return err
		}
		id = string(sandbox.Hash(data)) // the source is approved, not what this server makes of it
	}
	if a.Withdraw {
		answer, err := c.WithdrawWithResponse(ctx, id)
		if err != nil {
			return a.unreached(err)
		}
		return problem(answer, answer.ApplicationProblemJSONDefault)
	}
	answer, err := c.ApproveWithResponse(ctx, id)
	if err != nil {
		return a.unreached(err)
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	fmt.Println(id)
	return nil
}

type approvalsCommand struct{ grid }

// Run lists the modules that were approved.
func (a *approvalsCommand) Run(ctx context.Context) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	answer, err := c.ListApprovalsWithResponse(ctx)
	if err != nil {
		return a.unreached(err)
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	for _, id := range *answer.JSON200 {
		fmt.Println(id)
	}
	return nil
}
