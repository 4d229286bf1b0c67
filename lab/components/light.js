// Plots from numbers, without a plotting library: heat maps, bars, small curves (see lab/light_plots.py).
function element(kind, looks, ...children) {
  const made = Object.assign(document.createElement(kind), looks)
  made.append(...children)
  return made
}

function heatMap({ title, rows, columns, cells, fills, inks }) {
  const table = element("table", { className: "heat" }, element("caption", { textContent: title }))
  const long = columns.some((name) => name.length > 6)
  const head = table.insertRow()
  head.appendChild(document.createElement("th"))
  for (const name of columns) head.appendChild(element("th", { className: long ? "upright" : "" }, element("span", { textContent: name })))
  rows.forEach((name, i) => {
    const row = table.insertRow()
    row.appendChild(element("th", { textContent: name }))
    columns.forEach((other, j) => {
      const cell = row.appendChild(element("td", { textContent: cells[i][j], title: `${name} · ${other}: ${cells[i][j]}` }))
      Object.assign(cell.style, { background: fills[i][j], color: inks[i][j] })
    })
  })
  return table
}

function swatches(pairs) {  // what colours mean
  const names = pairs.map(([colour, name]) => element("span", {}, Object.assign(element("i", {}), { style: `background: ${colour}` }), name))
  return element("p", { className: "names" }, ...names)
}

function barRows({ labels, most, series }) {
  const grid = element("div", { className: "rows" })
  if (series.length > 1) grid.append(swatches(series.map(({ name, colour }) => [colour, name])))
  labels.forEach((label, i) => {
    const tracks = series.map(({ name, colour, values, said }) => {
      const bar = Object.assign(element("b", {}), { style: `width: ${(82 * values[i]) / most}%; background: ${colour}` })
      return element("div", { title: `${label} · ${name}: ${said[i]}` }, bar, element("small", { textContent: said[i] }))
    })
    grid.append(element("span", { textContent: label, title: label }), element("div", {}, ...tracks))
  })
  return grid
}

function smallCurves({ over, low, high, each }) {
  const grid = element("div", { className: "small" })
  const draw = document.createElementNS.bind(document, "http://www.w3.org/2000/svg")
  const at = ([x, y]) => [(100 * (x - low[0])) / (high[0] - low[0] || 1), 58 - (54 * (y - low[1])) / (high[1] - low[1] || 1)].map((v) => v.toFixed(1)).join(",")
  for (const { name, note, warns, points } of each) {
    const svg = draw("svg"), line = draw("polyline")
    svg.setAttribute("viewBox", "-1 0 102 60")
    svg.setAttribute("preserveAspectRatio", "none")
    svg.setAttribute("role", "img")
    svg.setAttribute("aria-label", `${name}: ${note}`)
    line.setAttribute("points", points.map(at).join(" "))
    svg.append(line)
    const last = points[points.length - 1]
    const tip = `${name}: ${points[0][1].toPrecision(2)} at ${over} = ${points[0][0]}, ${last[1].toPrecision(2)} at ${last[0]}`
    grid.append(element("div", { className: warns ? "warns" : "", title: tip }, element("span", { textContent: name }), svg, element("small", { textContent: note })))
  }
  return grid
}
