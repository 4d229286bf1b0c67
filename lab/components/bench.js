// Two models under the same lens: the same picture, the same knobs, the same seed. What differs stands out.
const BENCHES = new WeakMap()
const COLOURS = ["#1f8a9c", "#d1603d"]
const APART = 0.25  // of probability (or nats): from here on a difference is pointed out

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const state = BENCHES.get(parentElement) ?? { built: null, values: {}, pick: 0, sides: [] }
  BENCHES.set(parentElement, state)
  state.setStateValue = setStateValue
  const root = parentElement.querySelector(".bench")
  const words = root.querySelector(".says")

  const ask = async (i) => {  // one question a side at most; the last wish is the one that is shown
    const side = state.sides[i], wish = JSON.stringify({ ...data.asks[i], lens: "at-a-glance", pick: state.pick, knobs: state.values })
    side.wished = wish
    if (side.busy || wish === side.shown) return
    side.busy = true
    root.classList.add("busy")
    side.wrong = ""
    for await (const told of asked(wish)) {
      if (told.error) side.wrong = told.error
      else await loaded(told.exhibits), Object.assign(side, { exhibits: told.exhibits, milliseconds: told.milliseconds })
    }
    Object.assign(side, { shown: wish, busy: false })
    if (state.sides[i] !== side) return  // another model stands here now
    if (side.wished !== wish) return ask(i)
    root.classList.toggle("busy", state.sides.some((one) => one.busy))
    show()
  }
  const survey = async (i) => {
    const side = state.sides[i]
    for await (const told of asked(JSON.stringify({ ...data.asks[i], lens: "answers", knobs: {} }))) {
      if (told.exhibits) side.answers = told.exhibits[0].figures[0]
    }
    if (state.sides[i] === side) show()
  }

  const said = (side) => side.answers && side.answers.words[state.pick]?.[0]
  const show = () => {
    const [one, two] = state.sides
    words.textContent = state.sides.map((side, i) => `${"AB"[i]}: ${side.wrong || (side.milliseconds ? `${side.milliseconds} ms` : "…")}`).join(" · ")
    root.classList.toggle("wrong", state.sides.some((side) => side.wrong))
    const both = one.answers && two.answers
    const apart = both ? one.answers.words.map((word, k) => data.comparable && word[0] !== two.answers.words[k][0]) : []
    root.querySelectorAll(".pick button").forEach((button, k) => button.classList.toggle("apart", Boolean(apart[k])))
    root.querySelector(".verdict").textContent = both ? verdict(apart, state.pick, data.comparable) : ""
    const grid = []
    state.sides.forEach((side, i) => {
      const sure = side.answers?.bars[state.pick]?.sure
      grid.push(element("div", { className: "cell" }, element("h3", {}, Object.assign(element("i", {}), { style: `background: ${COLOURS[i]}` }), `${"AB"[i]} · ${data.names[i]}`),
        element("p", { className: apart[state.pick] ? "called differs" : "called", textContent: said(side) ? `${said(side)}, ${Math.round(100 * sure)}%` : "…" })))
    })
    const lead = one.exhibits ?? two.exhibits ?? []
    lead.forEach(({ says }, place) => {
      const figures = state.sides.map((side) => side.exhibits?.[place]?.figures[0])
      const title = element("p", { className: "title", textContent: says })
      if (figures.some((figure) => figure?.bars?.labels)) grid.push(element("div", { className: "cell" }, title, together(figures.map((figure) => figure?.bars))))
      else grid.push(Object.assign(title, { className: "title whole" }), ...figures.map((figure) => element("div", { className: "cell" }, ...(figure ? [drawn(figure)] : []))))
    })
    root.querySelector(".sides").replaceChildren(...grid)
  }

  const change = (name, value, released) => {
    state.values[name] = value
    data.asks.forEach((_, i) => ask(i))
    tell(state, "values", released ? { ...state.values } : undefined)
  }
  const choose = (at) => {
    state.pick = at
    show()
    data.asks.forEach((_, i) => ask(i))
    tell(state, "pick", at)
  }

  const built = JSON.stringify([data.asks, data.knobs.map((knob) => knob.name)])
  if (state.built !== built) {
    const known = state.built !== null
    state.built = built
    if (!known) Object.assign(state, { values: { ...data.values }, pick: data.pick.at })
    state.pick = Math.min(state.pick, data.pick.count - 1)
    root.querySelector(".pick").replaceChildren(...picker({ ...data.pick, at: state.pick }, choose))
    root.querySelector(".knobs").replaceChildren(...data.knobs.map((knob) => field(knob, state.values[knob.name], change)))
    state.sides = data.asks.map(() => ({ wished: null, shown: null, busy: false, wrong: "", exhibits: null, answers: null }))
    show()
    data.asks.forEach((_, i) => { survey(i); ask(i) })
  }
}

async function* asked(wish) {  // the lines of an answer; one with an error when nobody answers
  try {
    yield* lines(await fetch("/api/lens", { method: "POST", headers: { "Content-Type": "application/json" }, body: wish }))
  } catch {
    yield { error: "the lab does not answer; is it still running?" }
  }
}

function verdict(apart, pick, comparable) {
  if (!comparable) return "A and B know other classes: compare how they behave, not what they say."
  const count = apart.filter(Boolean).length
  const all = count ? `Of ${apart.length} pictures they call ${count} differently, marked ≠.` : `They call all ${apart.length} pictures the same.`
  return `${apart[pick] ? "Here A and B disagree. " : ""}${all}`
}

function together(sides) {  // the bars of A and B in one frame; labels where they are far apart stand out
  const labels = [...new Set(sides.flatMap((bars) => bars?.labels ?? []))]
  const of = (bars, label) => bars?.series[0].values[bars.labels.indexOf(label)]
  const most = Math.max(...sides.map((bars) => bars?.most ?? 0))
  const series = sides.map((bars, i) => ({
    name: "AB"[i], colour: COLOURS[i], values: labels.map((label) => of(bars, label) ?? 0),
    said: labels.map((label) => (bars?.labels.includes(label) ? bars.series[0].said[bars.labels.indexOf(label)] : "·")),
  }))
  const frame = barRows({ labels, most, series })
  frame.querySelectorAll(":scope > span").forEach((label, k) => {
    const [a, b] = sides.map((bars) => of(bars, labels[k]))
    label.classList.toggle("differs", Math.abs(a - b) >= APART)
  })
  return frame
}

