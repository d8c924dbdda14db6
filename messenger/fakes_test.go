package messenger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anchor is what ao.send makes: 32 characters.
const anchor = "00000000000000000000000000000007"

// memoryOutbox is an Outbox that outlives the messengers of a test.
type memoryOutbox struct {
	mu      sync.Mutex
	effects []engine.Effect
	done    map[engine.EffectKey]engine.Effect
	changed chan struct{}
	// news are effects that came since a messenger asked; listed counts how often
	// one went through all.
	news   []engine.Effect
	listed int
	// broken is what the next writes give instead of success.
	broken error
}

func newOutbox() *memoryOutbox {
	return &memoryOutbox{done: map[engine.EffectKey]engine.Effect{}, changed: make(chan struct{}, 1)}
}

func (o *memoryOutbox) Pending(_ context.Context, after engine.EffectKey, limit int) (page []engine.Effect, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.listed++
	for _, effect := range o.effects {
		_, done := o.done[effect.Key()]
		if len(page) < limit && !done && !effect.Dead && effect.Parked == "" && compareKeys(effect.Key(), after) > 0 {
			page = append(page, effect)
		}
	}
	return page, nil
}

func (o *memoryOutbox) News() (news []engine.Effect, all bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	news, o.news = o.news, nil
	return news, true, nil
}

func compareKeys(a, b engine.EffectKey) int {
	return cmp.Or(slices.Compare(a.Process[:], b.Process[:]), cmp.Compare(a.Nonce, b.Nonce), cmp.Compare(a.Tick, b.Tick), cmp.Compare(a.Index, b.Index))
}

func (o *memoryOutbox) Update(effect engine.Effect) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.effects {
		if o.effects[i].Key() == effect.Key() {
			o.effects[i] = effect
		}
	}
	return o.broken
}

func (o *memoryOutbox) Complete(effect engine.Effect) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken == nil {
		o.done[effect.Key()] = effect
	}
	return o.broken
}

func (o *memoryOutbox) Changed() <-chan struct{} { return o.changed }

func (o *memoryOutbox) Parked(cascade ao.ID) string {
	for _, effect := range o.parked() {
		if effect.Cascade() == cascade {
			return effect.Parked
		}
	}
	return ""
}

// parked lists parked effects in order.
func (o *memoryOutbox) parked() (parked []engine.Effect) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, effect := range o.effects {
		if effect.Parked != "" {
			parked = append(parked, effect)
		}
	}
	return parked
}

// resume makes what is parked pending again.
func (o *memoryOutbox) resume(cascade ao.ID) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.effects {
		if cascade.IsZero() || o.effects[i].Cascade() == cascade {
			o.effects[i].Parked = ""
		}
	}
	return nil
}

// put adds an effect to the result at a nonce of a process.
func (o *memoryOutbox) put(t *testing.T, process ao.ID, nonce uint64, kind engine.EffectKind, body any) engine.Effect {
	t.Helper()
	return o.putFor(t, ao.ID{7}, process, nonce, kind, body)
}

// putFor adds an effect that descends from a root.
func (o *memoryOutbox) putFor(t *testing.T, root, process ao.ID, nonce uint64, kind engine.EffectKind, body any) engine.Effect {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	effect := engine.Effect{Process: process, Nonce: nonce, Kind: kind, Body: text, Root: root}
	for _, other := range o.effects {
		if other.Process == process && other.Nonce == nonce {
			effect.Index++
		}
	}
	o.effects, o.news = append(o.effects, effect), append(o.news, effect)
	slices.SortFunc(o.effects, func(a, b engine.Effect) int { return compareKeys(a.Key(), b.Key()) })
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return effect
}

func (o *memoryOutbox) effect(key engine.EffectKey) (effect engine.Effect, done bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if effect, done := o.done[key]; done {
		return effect, true
	}
	for _, effect := range o.effects {
		if effect.Key() == key {
			return effect, false
		}
	}
	return engine.Effect{}, false
}

func (o *memoryOutbox) quiet() bool {
	page, _ := o.Pending(context.Background(), engine.EffectKey{}, 1)
	return len(page) == 0
}

// weave is an Uploader, a Directory and what lies on it.
type weave struct {
	mu        sync.Mutex
	items     []*dataitem.Item
	processes map[ao.ID]string // of other schedulers, which have these addresses
	abroad    abroad
	txs       map[ao.ID]aolog.Standing
}

func (w *weave) Standing(_ context.Context, id ao.ID) (aolog.Standing, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, item := range w.items {
		if item.ID() == id {
			return aolog.Standing{Confirmations: 1, Whole: true}, true, nil
		}
	}
	standing, known := w.txs[id]
	return standing, known, nil
}

func (w *weave) put(tx ao.ID, standing aolog.Standing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.txs[tx] = standing
}

func (w *weave) PutItem(_ context.Context, item *dataitem.Item) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items = append(w.items, item)
	return true, nil
}

// stubbornLog fails appends for as long as fail gives an error.
type stubbornLog struct {
	aolog.Log
	mu   sync.Mutex
	fail func(aolog.Proposal) error
}

func (l *stubbornLog) Append(ctx context.Context, p aolog.Proposal) (aolog.Entry, bool, error) {
	l.mu.Lock()
	fail := l.fail
	l.mu.Unlock()
	if fail != nil {
		if err := fail(p); err != nil {
			return aolog.Entry{}, false, err
		}
	}
	return l.Log.Append(ctx, p)
}

// world is a log, an outbox and a weave, on which messengers come and go.
type world struct {
	*testing.T
	log    *stubbornLog
	outbox *memoryOutbox
	weave  *weave
	fatal  chan error
	change func(*Options)
}

func newWorld(t *testing.T) *world {
	memory := memory.New(logtest.Signer(t, 1), time.Now)
	t.Cleanup(func() { _ = memory.Close() })
	weave := &weave{processes: map[ao.ID]string{}, txs: map[ao.ID]aolog.Standing{}}
	return &world{T: t, log: &stubbornLog{Log: memory}, outbox: newOutbox(), weave: weave, fatal: make(chan error, 1)}
}

// open starts a messenger whose waits are short.
func (w *world) open() *Messenger {
	options := Options{
		Outbox: w.outbox, Log: w.log, Signer: logtest.Signer(w.T, 2), Uploader: w.weave, Directory: w.weave, Weave: w.weave,
		RetryBaseMS: 1, RetryMaxMS: 4, Fatal: w.fatality,
	}
	if w.change != nil {
		w.change(&options)
	}
	return Open(options)
}

// deliver runs a messenger until nothing is pending.
func (w *world) deliver() {
	w.Helper()
	m := w.open()
	w.eventually("the outbox is empty", w.outbox.quiet)
	if err := m.Close(); err != nil {
		w.Fatal(err)
	}
}

func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	for range 20_000 {
		if is() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	w.Fatalf("it never came to this: %s", what)
}

// items lists a process's log after its first entry; nil stands for a bare
// assignment.
func (w *world) items(process ao.ID) (items []*dataitem.Item) {
	w.Helper()
	err := w.log.Range(w.Context(), process, 1, 1<<40, func(entry aolog.Entry) error {
		if entry.IsBare() {
			items = append(items, nil)
			return nil
		}
		item, err := entry.Item()
		items = append(items, item)
		return err
	})
	if err != nil && !errors.Is(err, aolog.ErrEntryUnknown) {
		w.Fatal(err)
	}
	return items
}

func (w *world) data(process ao.ID) (texts []string) {
	w.Helper()
	for _, item := range w.items(process) {
		texts = append(texts, string(item.Data))
	}
	return texts
}

// message is the body of a message as ao.send leaves it.
func message(target ao.ID, number int, data any, tags ...map[string]any) map[string]any {
	if tags == nil {
		tags = []map[string]any{}
	}
	return map[string]any{"Target": target.String(), "Anchor": anchorOf(number), "Tags": tags, "Data": data}
}

func anchorOf(number int) string {
	text := []byte(anchor)
	for i := len(text) - 1; number > 0; i-- {
		text[i] = byte('0' + number%10)
		number /= 10
	}
	return string(text)
}

func tag(name string, value any) map[string]any { return map[string]any{"name": name, "value": value} }

// fatality keeps the first error that nobody has taken yet.
func (w *world) fatality(err error) {
	select {
	case w.fatal <- err:
	default:
	}
}
