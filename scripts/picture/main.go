// Command picture takes the picture that the README opens with: a job on its
// page, half done, computed by two tabs and a runner. make picture calls it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"potluck/client"
	"potluck/scripts/chrome"
	"potluck/scripts/localgrid"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the binaries")
	out := flag.String("o", "docs/images/potluck.webp", "file for the picture")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *bin, *out); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, out string) error {
	data, err := os.MkdirTemp("", "potluck-picture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data) //nolint:errcheck // a temporary folder
	g, err := localgrid.Start(bin, data)
	if err != nil {
		return err
	}
	defer g.Close()
	if _, err := g.Worker("--name", "Ada's laptop", "--slots", "1", "--quiet", "--cache", data+"/worker"); err != nil {
		return err
	}
	b, err := chrome.Start()
	if err != nil {
		return err
	}
	defer b.Close()
	donor, err := b.Open()
	if err == nil {
		err = donor.Do(chromedp.Navigate(g.URL + "/"))
	}
	if err == nil {
		err = donor.Press("Start computing")
	}
	if err != nil {
		return err
	}
	job, err := g.Submit(ctx, client.NewJob{
		Program: "mandelbrot", Title: "Seahorse valley",
		Params: []byte(`{"width":2400,"height":1600,"center":[-0.7453,0.1127],"zoom":260,"iterations":6000}`),
	})
	if err != nil {
		return err
	}
	viewer, err := b.Open()
	if err != nil {
		return err
	}
	picture, err := watch(ctx, g, viewer, job)
	if err != nil {
		return err
	}
	return os.WriteFile(out, picture, 0o644) //nolint:gosec // a picture for everybody
}

// watch takes the picture of a job that is well under way.
func watch(ctx context.Context, g *localgrid.Grid, viewer *chrome.Tab, job *client.Job) ([]byte, error) {
	if err := viewer.Look(1240, 930, "light"); err != nil {
		return nil, err
	}
	if err := viewer.Do(chromedp.Navigate(g.URL + "/jobs/" + job.ID)); err != nil {
		return nil, err
	}
	if _, err := g.Follow(ctx, job.ID, func(j *client.Job) bool { return 100*j.Tasks.Done > 55*j.Tasks.Total }); err != nil {
		return nil, err
	}
	if err := viewer.Until("document.images.length && [...document.images].every((i) => i.complete && i.naturalWidth)"); err != nil {
		return nil, err
	}
	quality := int64(82)
	shot, err := chromedp.Call(viewer.Context(), page.CaptureScreenshot, page.CaptureScreenshotParams{
		Format: page.CaptureScreenshotFormatWebp, Quality: &quality,
	})
	return shot.Data, err
}
