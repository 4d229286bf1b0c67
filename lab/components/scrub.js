// One slider over frames. A frame is one picture or several; with curves and a map it is a whole run's time machine, and
// the slider moves them together. Keys: arrows step, space plays. Nothing is asked of the page while it moves.
const STATES = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const root = parentElement.querySelector(".scrub")
  const [slider, play, label, plots, stage] = ["input", "button", "output", ".plots", ".stage"].map((name) => root.querySelector(name))
  const state = STATES.get(parentElement) ?? { at: null, timer: null, map: null, cursors: [], drawn: null, glide: 0 }
  STATES.set(parentElement, state)

  const last = data.frames.length - 1
  const followed = state.at === null || state.at >= Number(slider.max)
  slider.max = Math.max(0, last)
  const stepAt = (at) => (at >= last ? data.newest : data.steps[at])  // the last frame stands for all that came since

  const move = (place) => {  // the map, without waiting for the next frame of the screen
    cancelAnimationFrame(state.glide)
    state.map?.draw(place)
  }
  const glideTo = (place, milliseconds) => {
    cancelAnimationFrame(state.glide)
    const from = state.map.place, began = performance.now()
    const turn = (now) => {
      const share = Math.min(1, Math.max(0, now - began) / milliseconds)
      state.map.draw(from + share * (place - from))
      if (share < 1) state.glide = requestAnimationFrame(turn)
    }
    state.glide = requestAnimationFrame(turn)
  }
  const show = (at) => {
    state.at = Math.max(0, Math.min(last, at))
    slider.value = state.at
    const frame = data.frames[state.at] ?? { label: "", pictures: [] }
    label.textContent = frame.label
    frame.pictures.forEach((source, i) => {
      const image = stage.children[i].querySelector("img")
      if (image.getAttribute("src") !== source) image.src = source
    })
    for (const near of [state.at - 1, state.at + 1]) {
      for (const source of data.frames[near]?.pictures ?? []) new Image().src = source
    }
    const step = stepAt(state.at)
    for (const cursor of [...state.cursors, ...(state.captions ?? [])]) cursor(step)
    if (state.map) {
      const place = state.map.placeOf(step)
      if (state.timer && place > state.map.place) glideTo(place, data.pause)
      else move(place)
      state.map.say(step)
    }
  }
  const settle = () => setStateValue("at", state.at)
  const stop = () => {
    clearInterval(state.timer)
    state.timer = null
    play.textContent = "Play"
    settle()
  }
  const start = () => {
    play.textContent = "Stop"
    if (state.at === last) show(0)
    const next = () => (state.at === last ? stop() : show(state.at + 1))
    state.timer = setInterval(next, data.pause)
    next()
  }
  const go = (step, released) => {  // the stored step nearest to the one that somebody pointed at
    if (last < 0) return
    const low = Math.max(0, before(data.steps, step)), high = Math.min(last, low + 1)
    show(step - data.steps[low] <= data.steps[high] - step ? low : high)
    if (released) settle()
  }

  slider.oninput = () => show(Number(slider.value))
  slider.onchange = settle
  play.onclick = () => (state.timer ? stop() : start())
  root.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (event.key === " " && event.target.tagName !== "BUTTON") {
      event.preventDefault()
      play.click()
    } else if (by && event.target !== slider && last > 0) {
      event.preventDefault()
      show(state.at + by)
      settle()
    }
  }

  const wanted = JSON.stringify(data.curves)
  if (state.drawn !== wanted) {
    state.drawn = wanted
    const ends = data.curves.flatMap(({ lines }) => lines.flatMap(({ at }) => [at[0], at[at.length - 1]]))
    const span = [Math.min(...ends), Math.max(...ends)]
    const figures = data.curves.map((curve) => curveFigure(curve, span, go))
    state.cursors = figures.map(({ cursor }) => cursor)
    plots.querySelectorAll(".curves").forEach((old) => old.remove())
    plots.append(...figures.map(({ figure }) => figure))
  }
  if (data.map) {
    if (!state.map) {
      state.map = makeMap(data.map)
      plots.prepend(state.map.figure)
    }
    state.map.loaded = () => show(state.at ?? last)
    state.map.load(data.map.url)
  }
  plots.hidden = !data.curves.length && !data.map
  const count = data.frames[0]?.pictures.length ?? 0
  if (stage.children.length !== count) {
    state.captions = []
    stage.replaceChildren(...Array.from({ length: count }, (_, i) => picture(data.pictures[i], state.captions)))
  }
  root.querySelector(".bar").hidden = last < 1
  if (last >= 0 && state.timer) play.textContent = "Stop"
  show(followed ? last : state.at)
  return () => {
    clearInterval(state.timer)
    cancelAnimationFrame(state.glide)
  }
}

function picture(told, captions) {
  const figure = document.createElement("figure")
  const image = figure.appendChild(new Image())
  image.onerror = () => { figure.hidden = true }  // not every figure is there at every step
  image.onload = () => { figure.hidden = false }
  if (told) {
    image.alt = told.says
    captions.push(captioned(figure, told.says, told.script))
  }
  return figure
}
