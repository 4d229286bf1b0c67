// What takes long is kept moment by moment: to be seen again, to go on from, to be filmed. A take is one look from its
// beginning: {from, frames: one list a seat}. One that goes on begins with the frames of that from which it went on.
function makeReel(root, data, state, { see, begin, failed }) {
  const box = root.querySelector(".reel"), slider = box.querySelector("input[type=range]"), [play, on, film] = box.querySelectorAll("button")
  const kind = box.querySelector("select"), chips = root.querySelector(".takes")
  const take = () => state.takes[state.at]
  const length = (one) => Math.max(...one.frames.map((frames) => frames.length))
  const at = () => Number(slider.value)
  const frames = (one, place) => one.frames.map((all) => all[Math.min(place, all.length - 1)])

  const show = (place) => {
    const count = length(take())
    slider.max = count - 1
    slider.value = place
    box.querySelector("output").textContent = `${place + 1} of ${count}`
    on.textContent = place === count - 1 ? "Go on" : "Branch here"
    see(frames(take(), place))
  }
  const renew = () => {
    box.hidden = !data.long || !take() || length(take()) < 2
    chips.hidden = state.takes.length < 2
    chips.replaceChildren(...state.takes.map((one, i) => {
      const chip = document.createElement("button")
      Object.assign(chip, { type: "button", textContent: one.from ? `${i + 1} · from ${one.from.at + 1} of ${one.from.take + 1}` : `${i + 1}`, ariaPressed: i === state.at })
      chip.onclick = () => { halt(); state.at = i; renew(); show(length(take()) - 1) }
      return chip
    }))
  }
  const halt = () => clearInterval(state.timer)
  const open = (one) => {
    halt()
    if (state.takes.at(-1) && !length(state.takes.at(-1))) state.takes.pop()
    state.at = state.takes.push(one) - 1
    renew()
  }

  slider.oninput = () => { halt(); show(at()) }
  play.onclick = () => {
    halt()
    let place = 0
    show(place)
    state.timer = setInterval(() => (place + 1 < length(take()) ? show(++place) : halt()), 150)
  }
  on.onclick = () => {
    const place = at(), one = take()
    open({ from: { take: state.takes.indexOf(one), at: place }, frames: one.frames.map((all) => all.slice(0, place + 1)) })
    begin(frames(one, place).map((told) => told?.moment))
  }
  film.onclick = async () => {
    film.disabled = true
    const moments = take().frames[0].map((told) => told.moment)
    const answer = await send("/api/film", { moments, kind: kind.value, dark: data.asks[0].dark }).catch(() => null)
    const wrong = answer ? await saved(answer, `${data.asks[0].lens}.${kind.value}`) : "the lab does not answer; is it still running?"
    if (wrong) failed(wrong)
    film.disabled = false
  }
  return {
    anew() { state.takes = []; this.again() },
    again() { open({ from: null, frames: data.asks.map(() => []) }) },
    rest(is) { on.disabled = !is; on.hidden = !data.goesOn },
    receive(i, begun) {  // where the lines of an answer go that begins now
      const into = take()
      if (!begun) into.frames[i] = []
      return (told) => {
        const seen = take() === into, before = length(into), follows = seen && at() >= before - 1
        into.frames[i].push(told)
        if (!seen) return
        renew()
        show(follows || before === 0 ? length(into) - 1 : at())
      }
    },
  }
}
