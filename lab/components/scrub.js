// One slider over frames; each frame is one picture or several. Keys: arrows step, space plays.
const STATES = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const root = parentElement.querySelector(".scrub")
  const [slider, play, label, stage] = ["input", "button", "output", ".stage"].map((name) => root.querySelector(name))
  const state = STATES.get(parentElement) ?? { at: null, timer: null }
  STATES.set(parentElement, state)

  const last = data.frames.length - 1
  const followed = state.at === null || state.at >= Number(slider.max)
  slider.max = last
  const show = (at) => {
    state.at = Math.max(0, Math.min(last, at))
    slider.value = state.at
    const frame = data.frames[state.at]
    label.textContent = frame.label
    while (stage.children.length < frame.pictures.length) {
      const image = stage.appendChild(new Image())
      image.onerror = () => { image.hidden = true }  // not every figure is there at every step
      image.onload = () => { image.hidden = false }
    }
    while (stage.children.length > frame.pictures.length) stage.lastChild.remove()
    frame.pictures.forEach((source, i) => {
      if (stage.children[i].getAttribute("src") !== source) stage.children[i].src = source
    })
    for (const near of [state.at - 1, state.at + 1]) {
      for (const source of data.frames[near]?.pictures ?? []) new Image().src = source
    }
  }
  const stop = () => {
    clearInterval(state.timer)
    state.timer = null
    play.textContent = "Play"
    setStateValue("at", state.at)
  }
  slider.oninput = () => show(Number(slider.value))
  slider.onchange = () => setStateValue("at", state.at)
  play.onclick = () => {
    if (state.timer) return stop()
    play.textContent = "Stop"
    if (state.at === last) show(0)
    state.timer = setInterval(() => (state.at === last ? stop() : show(state.at + 1)), data.pause)
  }
  root.onkeydown = (event) => {
    if (event.key === " " && event.target !== play) {
      event.preventDefault()
      play.click()
    }
  }
  play.hidden = slider.hidden = last < 1
  show(followed ? last : state.at)
  return () => clearInterval(state.timer)
}
