package app

import (
	"context"
	"slices"

	"spillway/upstream/supervisor"
)

// watcher restarts the processes of an upstream when their files change. It goes on over generations as long as it looks at
// the same paths, or a deploy that ends with a reload would be missed.
type watcher struct {
	paths []string
	stop  context.CancelFunc
}

// watchFiles starts the watchers that a generation has, and stops those that only the one before had.
func (a *App) watchFiles(g *generation) {
	paths := map[string][]string{}
	for _, u := range g.config.Upstreams {
		if u.Backend != nil && len(u.Backend.Watch) > 0 {
			paths[u.Name] = u.Backend.Watch
		}
	}
	for name, w := range a.watchers {
		if !slices.Equal(paths[name], w.paths) {
			w.stop()
			delete(a.watchers, name)
		}
	}
	for name, some := range paths {
		if a.watchers[name] != nil {
			continue
		}
		ctx, stop := context.WithCancel(a.ending)
		a.watchers[name] = &watcher{paths: some, stop: stop}
		a.retiring.Go(func() { a.watch(ctx, name, some) }) // ends with stop, or with the server
	}
}

// watch restarts processes until ctx ends. What changes while they are restarted is seen afterwards.
func (a *App) watch(ctx context.Context, name string, paths []string) {
	err := supervisor.Watch(ctx, paths, func(path string) {
		a.log.Log(ctx, levelNotice, "file changed, restarting processes", "backend", name, "path", path)
		_ = a.Restart(ctx, name) // it says itself how it ends
	})
	if err != nil {
		a.log.Error("files not watched any more", "backend", name, "err", err)
	}
}
