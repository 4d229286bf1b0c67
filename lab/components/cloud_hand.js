// The pointer and the keys of the cloud. s: its state; act: what can be done.
const CORNERS = 64, GRAIN = 1000

function giveHands(root, over, s, act) {
  const spot = (event) => { const box = over.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top] }
  let held = null
  over.onpointerdown = (event) => {
    if (event.button) return
    root.focus({ preventScroll: true })
    over.setPointerCapture(event.pointerId)
    const at = spot(event)
    held = { at, middle: [...s.middle], moved: false, loop: s.lasso || event.shiftKey }
    if (!held.loop) return
    s.drawing = act.toPlace(...at)
    if (!event.shiftKey) s.loops = []
  }
  over.onpointermove = (event) => {
    const at = spot(event)
    if (!held) return act.hoverAt(act.pointAt(...at))
    held.moved ||= Math.hypot(at[0] - held.at[0], at[1] - held.at[1]) > 3
    if (held.loop) s.drawing.push(...act.toPlace(...at))
    else if (held.moved) {
      over.style.cursor = "grabbing"
      s.middle = [held.middle[0] - (at[0] - held.at[0]) / act.scale(), held.middle[1] + (at[1] - held.at[1]) / act.scale()]
      s.touched = true
    }
    act.later()
  }
  over.onpointerup = (event) => {
    if (!held) return
    const { loop, moved } = held
    held = null
    over.style.cursor = s.lasso ? "crosshair" : "grab"
    if (loop) {
      if (s.drawing.length >= 6) s.loops.push(fewer(s.drawing, CORNERS).map((place) => (Math.round((place / FULL) * GRAIN) / GRAIN) * FULL))
      s.drawing = null
      act.select()
      act.settle()
    } else if (!moved) act.pin(act.pointAt(...spot(event)))
  }
  over.onpointercancel = () => { held = s.drawing = null; act.later() }
  over.onpointerleave = () => act.hoverAt(null)
  over.addEventListener("wheel", (event) => {
    event.preventDefault()
    act.zoomBy(Math.exp(-event.deltaY * 0.0016), ...spot(event))
  }, { passive: false })
  over.ondblclick = act.whole
  root.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT"].includes(event.target.tagName)) return
    const middle = [over.clientWidth / 2, over.clientHeight / 2]
    const does = {
      Escape: act.letGo, l: () => act.setLasso(!s.lasso), L: () => act.setLasso(!s.lasso), 0: act.whole,
      "+": () => act.zoomBy(1.3, ...middle), "-": () => act.zoomBy(1 / 1.3, ...middle),
      ArrowRight: () => act.turn(1), ArrowLeft: () => act.turn(-1),
    }[event.key]
    if (!does) return
    event.preventDefault()
    event.stopPropagation()
    does()
  }
}

// Loops of corners as an address has them, and back: x_y_x_y~x_y_x_y, in thousandths of the square.
const loopsIn = (text) => text.split("~").filter(Boolean).map((loop) => loop.split("_").map((place) => (Number(place) / GRAIN) * FULL))
const loopsOut = (loops) => loops.map((loop) => loop.map((place) => Math.round((place / FULL) * GRAIN)).join("_")).join("~")

// The middle of all maps, and half of their width and height, but for the few points that lie far out.
function extent(maps) {
  const sides = [[], []]
  for (const map of maps) {
    const step = 2 * Math.max(1, Math.floor(map.length / 2 / 4000))
    for (let i = 0; i < map.length; i += step) {
      if (map[i] === ABSENT) continue
      sides[0].push(map[i])
      sides[1].push(map[i + 1])
    }
  }
  if (!sides[0].length) return { middle: [0, 0], half: [FULL, FULL] }
  const ends = sides.map((side) => {
    const sorted = Int16Array.from(side).sort(), cut = Math.floor(0.0025 * sorted.length)
    return [sorted[cut], sorted[sorted.length - 1 - cut]]
  })
  return { middle: ends.map(([low, high]) => (low + high) / 2), half: ends.map(([low, high]) => Math.max(1, (high - low) / 2)) }
}

// Marks (by 1) the points that lie in a loop of corners [x, y, x, y, ...]; a loop drawn twice over is a hole.
function markInside(places, loop, marks) {
  const corners = loop.length / 2
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity]
  for (let c = 0; c < corners; c++) {
    left = Math.min(left, loop[2 * c]); right = Math.max(right, loop[2 * c])
    low = Math.min(low, loop[2 * c + 1]); high = Math.max(high, loop[2 * c + 1])
  }
  for (let i = 0; i < marks.length; i++) {
    const x = places[2 * i], y = places[2 * i + 1]
    if (x < left || x > right || y < low || y > high) continue
    let odd = false
    for (let c = 0, d = corners - 1; c < corners; d = c++) {
      const y1 = loop[2 * c + 1], y2 = loop[2 * d + 1]
      if (y1 > y !== y2 > y && x < loop[2 * c] + ((y - y1) * (loop[2 * d] - loop[2 * c])) / (y2 - y1)) odd = !odd
    }
    if (odd) marks[i] = 1
  }
}

// At most `most` corners of a loop, at even distances along it.
function fewer(loop, most) {
  const corners = loop.length / 2
  if (corners <= most) return loop
  return Array.from({ length: most }, (_, i) => Math.floor((i * corners) / most)).flatMap((c) => [loop[2 * c], loop[2 * c + 1]])
}
