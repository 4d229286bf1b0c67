// Several runs' curves, a figure for each number. All figures share the axis, so that their cursors move together.
const DRAWN = new WeakMap()

export default function (component) {
  const { data, parentElement } = component
  const wanted = JSON.stringify(data)
  if (DRAWN.get(parentElement) === wanted) return
  DRAWN.set(parentElement, wanted)
  const ends = data.figures.flatMap(({ lines }) => lines.flatMap(({ at }) => [at[0], at[at.length - 1]]))
  const span = [Math.min(...ends), Math.max(...ends)]
  const figures = data.figures.map((told) => overlaid(told, span, data.over, (at) => figures.forEach((one) => one.cursor(at))))
  parentElement.querySelector(".plots").replaceChildren(...figures.map(({ figure }) => figure))
}

function overlaid(told, span, over, pointAt) {
  const head = document.createElement("div")
  head.className = "legend"
  head.appendChild(document.createElement("strong")).textContent = told.says
  const reading = head.appendChild(document.createElement("span"))
  const { figure, picture, paths, rule, x, y, back } = plot(told, span)
  figure.prepend(head)
  const link = figure.appendChild(document.createElement("figcaption")).appendChild(document.createElement("a"))
  Object.assign(link, { textContent: "Script", href: told.script, download: "", title: SCRIPT })

  const read = (at, height) => {  // the curve that is nearest where one points, and what it says there
    const places = told.lines.map((line) => (at > line.at[line.at.length - 1] ? -1 : before(line.at, at)))
    const values = told.lines.map((line, i) => (line.mean ?? line.value)[places[i]])
    const far = values.map((value) => (value === undefined ? Infinity : Math.abs(y(value) - height)))
    const nearest = far.indexOf(Math.min(...far))
    if (far[nearest] === Infinity) return
    const { name, colour, at: along } = told.lines[nearest]
    reading.replaceChildren(document.createElement("i"), `${name} · ${over} ${spelled(along[places[nearest]])}`, document.createElement("b"))
    reading.querySelector("i").style.background = colour
    reading.querySelector("b").textContent = spelled(values[nearest])
    paths.forEach((path, i) => path.classList.toggle("aside", i !== nearest))
  }
  picture.onpointermove = (event) => {
    const { at, height } = back(event)
    pointAt(at)
    read(at, height)
  }
  picture.onpointerleave = () => {
    pointAt(null)
    reading.replaceChildren()
    paths.forEach((path) => path.classList.remove("aside"))
  }
  const cursor = (at) => {
    rule.style.visibility = at === null ? "hidden" : "visible"
    if (at !== null) for (const end of ["x1", "x2"]) rule.setAttribute(end, x(at))
  }
  cursor(null)
  return { figure, cursor }
}
