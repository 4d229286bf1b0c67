// Curves over steps as SVG: drawn once, then a cursor moves over them in the browser.
const WIDE = 600, HIGH = 250, LEFT = 54, RIGHT = 590, TOP = 8, BOTTOM = 216

function svg(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return parent ? parent.appendChild(element) : element
}

function spelled(value) {
  const size = Math.abs(value)
  if (size && (size < 1e-3 || size >= 1e6)) return value.toExponential(1)
  return Number(value.toPrecision(4)).toLocaleString("en")
}

function ticks(low, high, most) {
  const raw = (high - low) / most || 1
  const unit = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].find((factor) => factor * unit >= raw * 0.999) * unit
  const found = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step)
  return found
}

function before(steps, step) {  // the place of the last of ascending `steps` that is not after `step`; -1 if all are
  let low = 0, high = steps.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (steps[middle] <= step) low = middle + 1
    else high = middle
  }
  return low - 1
}

const SCRIPT = "A Python file that draws this figure again, without the lab."

// Lines over `first` to `last` as a figure: its parts, where values lie in it (x, y), and where an event points (back).
function plot({ says, lines }, [first, last]) {
  const figure = document.createElement("figure")
  figure.className = "curves"
  const values = lines.flatMap((line) => line.value)
  let [low, high] = [Math.min(...values), Math.max(...values)]
  if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5]
  const x = (at) => LEFT + ((at - first) / (last - first || 1)) * (RIGHT - LEFT)
  const y = (value) => BOTTOM - ((value - low) / (high - low)) * (BOTTOM - TOP)
  const path = (line, numbers) => numbers.map((value, i) => `${i ? "L" : "M"}${x(line.at[i]).toFixed(1)} ${y(value).toFixed(1)}`).join("")

  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": says }, figure)
  for (const value of ticks(low, high, 4)) {
    svg("line", { x1: LEFT, x2: RIGHT, y1: y(value), y2: y(value), class: "grid" }, picture)
    svg("text", { x: LEFT - 8, y: y(value) + 5, "text-anchor": "end" }, picture).textContent = spelled(value)
  }
  for (const at of ticks(first, last, 6)) {
    const anchor = x(at) > RIGHT - 20 ? "end" : "middle"
    svg("text", { x: x(at), y: BOTTOM + 20, "text-anchor": anchor }, picture).textContent = spelled(at)
  }
  const paths = lines.map((line) => {
    const whole = svg("g", { stroke: line.colour, "stroke-dasharray": line.dashed ? "6 3" : "none" }, picture)
    if (line.at.length === 1) svg("circle", { cx: x(line.at[0]), cy: y(line.value[0]), r: 4, fill: line.colour }, whole)
    if (line.mean) svg("path", { d: path(line, line.value), class: "raw" }, whole)
    svg("path", { d: path(line, line.mean ?? line.value), class: "line" }, whole)
    return whole
  })
  const rule = svg("line", { y1: TOP, y2: BOTTOM, class: "cursor" }, picture)
  const back = (event) => {
    const box = picture.getBoundingClientRect()
    const share = (((event.clientX - box.left) / box.width) * WIDE - LEFT) / (RIGHT - LEFT)
    return { at: first + Math.max(0, Math.min(1, share)) * (last - first), height: ((event.clientY - box.top) / box.height) * HIGH }
  }
  return { figure, picture, paths, rule, x, y, back }
}

// One figure over the steps `first` to `last`; `go(step)` is called when somebody points at a step. Returns the element
// and `cursor(step)`.
function curveFigure({ says, lines, script }, [first, last], go) {
  const { figure, picture, rule, x, back } = plot({ says, lines }, [first, last])
  const legend = document.createElement("div")
  legend.className = "legend"
  figure.prepend(legend)
  const shown = lines.map(({ name, colour }) => {
    const entry = legend.appendChild(document.createElement("span"))
    entry.appendChild(document.createElement("i")).style.background = colour
    entry.append(name)
    return entry.appendChild(document.createElement("b"))
  })
  const point = (event) => go(back(event).at, event.type === "pointerup")
  picture.onpointerdown = (event) => { picture.setPointerCapture(event.pointerId); point(event) }
  picture.onpointermove = (event) => { if (event.buttons) point(event) }
  picture.onpointerup = point

  const caption = captioned(figure, says, script)
  const cursor = (step) => {
    const at = Math.max(first, Math.min(last, step))
    rule.setAttribute("x1", x(at))
    rule.setAttribute("x2", x(at))
    lines.forEach((line, i) => {
      const place = before(line.at, step)
      shown[i].textContent = place < 0 ? "" : spelled(line.value[place])
    })
    caption(step)
  }
  return { figure, cursor }
}

// A sentence under a figure, and the link to the script that draws it as it was at the step one stands on.
function captioned(figure, says, script) {
  const caption = figure.appendChild(document.createElement("figcaption"))
  const sentence = caption.appendChild(document.createElement("span"))
  sentence.textContent = says
  const link = caption.appendChild(document.createElement("a"))
  link.textContent = "Script"
  link.title = SCRIPT
  link.download = ""
  return (step, more = "") => {
    link.href = `${script}/${step}`
    sentence.textContent = more ? `${says} ${more}` : says
  }
}
