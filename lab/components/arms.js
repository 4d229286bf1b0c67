// Arms of a claim under one slider: where each places the same pictures while it trains, and curves of all of them.
const STATES = new WeakMap()
const SIDE = 300, EDGE = 8, SECONDS = 6, NEAR = 10, FULL = 32000

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector(".arms")
  const [play, slider, output] = ["button", "input", "output"].map((name) => root.querySelector(`.bar ${name}`))
  const [legend, maps, plots] = [".legend", ".maps", ".plots"].map((name) => root.querySelector(name))
  const wanted = data.arms.map(({ name, places }) => name + places.length + places.slice(-64)).join()
  if (STATES.get(parentElement)?.wanted === wanted) return
  STATES.get(parentElement)?.stop()
  const state = { wanted, step: 0, label: null, over: null, frame: 0, stop: () => stop() }
  STATES.set(parentElement, state)

  const first = Math.min(...data.arms.map(({ steps }) => steps[0]))
  const last = Math.max(...data.arms.map(({ steps }) => steps[steps.length - 1]))
  Object.assign(slider, { min: first, max: last, value: last })

  // Each arm: its places, and a canvas
  const count = data.labels.length
  const sheet = new Image()
  sheet.src = data.sheet
  const arms = data.arms.map((arm) => {
    const bytes = Uint8Array.from(atob(arm.places), (letter) => letter.charCodeAt(0))
    const figure = document.createElement("figure")
    const title = figure.appendChild(document.createElement("strong"))
    Object.assign(title, { textContent: arm.name, title: arm.figure })
    title.style.borderColor = arm.colour
    const reading = figure.appendChild(document.createElement("small"))
    const field = figure.appendChild(Object.assign(document.createElement("div"), { className: "field" }))
    const canvas = field.appendChild(document.createElement("canvas"))
    canvas.role = "img"
    canvas.ariaLabel = `where ${arm.name} places the test pictures`
    const hint = field.appendChild(Object.assign(document.createElement("div"), { className: "hint", hidden: true }))
    const face = hint.appendChild(document.createElement("div"))
    const link = figure.appendChild(document.createElement("figcaption")).appendChild(document.createElement("a"))
    Object.assign(link, { textContent: "Script", download: "", title: SCRIPT })
    const made = { ...arm, points: new Int16Array(bytes.buffer), figure, reading, canvas, hint, face, link }
    canvas.onpointermove = (event) => point(made, event)
    canvas.onpointerleave = () => point(made, null)
    return made
  })
  maps.replaceChildren(...arms.map(({ figure }) => figure))

  const locate = (arm, i) => {  // pixels of the canvas
    const low = Math.max(0, before(arm.steps, state.step)), high = Math.min(low + 1, arm.steps.length - 1)
    const share = high === low ? 0 : Math.min(1, Math.max(0, (state.step - arm.steps[low]) / (arm.steps[high] - arm.steps[low])))
    const from = 2 * (low * count + i), to = 2 * (high * count + i), reach = SIDE / 2 - EDGE
    const at = (axis) => ((1 - share) * arm.points[from + axis] + share * arm.points[to + axis]) / FULL
    return [SIDE / 2 + at(0) * reach, SIDE / 2 - at(1) * reach]
  }
  const draw = (arm) => {
    const dense = window.devicePixelRatio || 1
    if (arm.canvas.height !== SIDE * dense) arm.canvas.width = arm.canvas.height = SIDE * dense
    const pen = arm.canvas.getContext("2d", { willReadFrequently: true })  // by the CPU: quick where there is no GPU
    pen.setTransform(dense, 0, 0, dense, 0, 0)
    pen.clearRect(0, 0, SIDE, SIDE)
    const spots = Array.from({ length: count }, (_, i) => locate(arm, i))
    for (const { label, colour } of data.classes) {
      pen.globalAlpha = state.label === null ? 0.75 : state.label === label ? 0.95 : 0.07
      pen.fillStyle = colour
      pen.beginPath()
      spots.forEach(([x, y], i) => {
        if (data.labels[i] !== label) return
        pen.moveTo(x + 3.4, y)
        pen.arc(x, y, 3.4, 0, 2 * Math.PI)
      })
      pen.fill()
    }
    if (state.over === null) return
    pen.globalAlpha = 1
    pen.lineWidth = 2
    pen.strokeStyle = getComputedStyle(root).color
    pen.beginPath()
    pen.arc(...spots[state.over], 7, 0, 2 * Math.PI)
    pen.stroke()
  }
  const point = (arm, event) => {  // the picture one points at is ringed in every map
    const was = state.over
    state.over = null
    if (event) {
      const box = arm.canvas.getBoundingClientRect(), scale = SIDE / box.width
      const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale
      let nearest = NEAR ** 2
      for (let i = 0; i < count; i++) {
        if (state.label !== null && data.labels[i] !== state.label) continue
        const spot = locate(arm, i), away = (spot[0] - x) ** 2 + (spot[1] - y) ** 2
        if (away < nearest) [state.over, nearest] = [i, away]
      }
    }
    if (was === state.over) return
    for (const one of arms) {
      one.hint.hidden = state.over === null || one !== arm
      draw(one)
    }
    if (state.over === null) return
    const [x, y] = locate(arm, state.over), scale = arm.canvas.clientWidth / SIDE
    arm.hint.style.left = `${x * scale > arm.canvas.clientWidth - 112 ? x * scale - 108 : x * scale + 12}px`
    arm.hint.style.top = `${Math.min(y * scale, arm.canvas.clientHeight - 100)}px`
    Object.assign(arm.face.style, { backgroundImage: `url(${data.sheet})`, backgroundSize: "84px", backgroundPosition: `0 ${-84 * state.over}px` })
  }

  // Classes: one alone, or all
  legend.replaceChildren(...(data.classes.length > 1 && data.classes.length <= 16 ? data.classes : []).map(({ label, colour, name }) => {
    const button = Object.assign(document.createElement("button"), { type: "button", title: "Show this class alone" })
    button.appendChild(document.createElement("i")).style.background = colour
    button.append(name)
    button.onclick = () => {
      state.label = state.label === label ? null : label
      data.classes.forEach((each, i) => { legend.children[i].ariaPressed = String(each.label === state.label) })
      arms.forEach(draw)
    }
    return button
  }))

  // Curves, and one step for everything
  const figures = data.curves.map((curve) => curveFigure(curve, [first, last], (step) => { stop(); show(step) }))
  plots.replaceChildren(...figures.map(({ figure }) => figure))
  const show = (step) => {
    state.step = Math.max(first, Math.min(last, step))
    slider.value = state.step
    const whole = Math.round(state.step)
    output.textContent = `step ${whole.toLocaleString("en")}`
    for (const arm of arms) {
      const place = Math.max(0, before(arm.steps, state.step + 0.5))
      arm.reading.textContent = `${readings(arm.name, state.step + 0.5)}`
      arm.link.href = `${arm.script}/${arm.steps[place]}`
      draw(arm)
    }
    for (const { cursor } of figures) cursor(whole)
  }
  const readings = (name, step) => data.curves.slice(0, 1).flatMap(({ lines }) => {
    const line = lines.find((each) => each.name === name), place = line ? before(line.at, step) : -1
    return place < 0 ? [] : [`${data.first} ${spelled(line.value[place])}`]
  }).join(" ")
  const stop = () => {
    cancelAnimationFrame(state.frame)
    state.frame = 0
    play.textContent = "Play"
  }
  play.onclick = () => {
    if (state.frame) return stop()
    const from = state.step >= last ? first : state.step, began = performance.now()
    play.textContent = "Stop"
    const turn = (now) => {
      show(from + (Math.max(0, now - began) / 1000 / SECONDS) * (last - first))
      if (state.step >= last) stop()
      else state.frame = requestAnimationFrame(turn)
    }
    state.frame = requestAnimationFrame(turn)
  }
  slider.oninput = () => { stop(); show(Number(slider.value)) }
  root.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (event.key === " " && event.target.tagName !== "BUTTON") {
      event.preventDefault()
      play.click()
    } else if (by) {
      event.preventDefault()
      stop()
      show(state.step + by * ((last - first) / (data.arms[0].steps.length - 1 || 1)))
    }
  }
  show(last)
  return () => stop()
}
