package engine

import "sync"

// newsMax bounds how many results are remembered whose effects nobody has asked
// for yet.
const newsMax = 4096

// news remembers which results brought effects, so that a messenger need not
// list the outbox for each of them: a list goes through all that is pending,
// and through what badger still keeps of what was deleted.
type news struct {
	mu      sync.Mutex
	results []EffectKey
	// unlisted says that there may be pending effects that results does not name.
	unlisted bool
}

func (n *news) add(results []EffectKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.results)+len(results) > newsMax {
		n.results, n.unlisted = nil, true
	}
	if !n.unlisted {
		n.results = append(n.results, results...)
	}
}

// relist has the next who asks list the outbox.
func (n *news) relist() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.results, n.unlisted = nil, true
}

func (n *news) take() (results []EffectKey, all bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	results, all = n.results, !n.unlisted
	n.results, n.unlisted = nil, false
	return results, all
}

// News gives the pending effects of results that were stored since it was last
// asked, those of each process in delivery order. Where all is false it does not
// know them all, and the outbox has to be listed.
func (o *Outbox) News() (effects []Effect, all bool, err error) {
	results, all := o.news.take()
	for _, key := range results {
		_, record, err := o.load(key)
		if err != nil {
			return nil, false, err
		}
		of, err := o.effects(key, record)
		if err != nil {
			return nil, false, err
		}
		for _, effect := range of {
			if record.stateOf(effect.Index) == EffectPending {
				effects = append(effects, effect)
			}
		}
	}
	return effects, all, nil
}
