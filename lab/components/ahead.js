// What a knob replays from memory is asked for while the hand comes near: from where it stands outwards, one at a time
// and only while nothing else is under way and the hand stays. Then dragging asks the lab nothing; kept until the hand
// comes anew.
const RESTS = 120  // milliseconds after which a hand does not only pass by

function makeAhead(state, { seats, wish, post }) {
  state.ahead ??= { kept: new Map(), hunt: null }
  const ahead = state.ahead
  const rest = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))
  const idle = () => !seats.some((seat) => seat.busy)
  const come = async (knob) => {
    ahead.hunt?.abort()
    const hunt = (ahead.hunt = new AbortController())
    ahead.kept.clear()
    await rest(RESTS)
    if (hunt.signal.aborted) return
    for (const { shown, drawn } of seats) if (shown && drawn) ahead.kept.set(shown, drawn)
    const at = state.values[knob.name], values = Array.from({ length: knob.high - knob.low + 1 }, (_, i) => knob.low + i)
    for (const value of values.sort((one, other) => Math.abs(one - at) - Math.abs(other - at))) {
      for (const i of seats.keys()) {
        while (!idle() && !hunt.signal.aborted) await rest(20)
        const asked = wish(i)
        asked.knobs = { ...asked.knobs, [knob.name]: value }
        const mine = JSON.stringify(asked)
        if (hunt.signal.aborted) return
        if (ahead.kept.has(mine)) continue
        try {
          let last = null
          for await (const told of lines(await post(asked, hunt.signal))) last = told
          if (!last?.exhibits) return  // what is wrong is said when it is asked for in earnest
          await loaded(last.exhibits)
          ahead.kept.set(mine, last)
        } catch {  // hung up, or the lab does not answer
          return
        }
      }
    }
  }
  return {
    answer: (mine) => ahead.kept.get(mine),
    watch(box, knob) {
      box.addEventListener("pointerenter", (event) => (event.buttons && event.pointerType === "mouse") || come(knob))
      box.addEventListener("focusin", () => box.matches(":hover") || come(knob))
      box.addEventListener("pointerleave", (event) => event.buttons || ahead.hunt?.abort())
      box.addEventListener("focusout", () => box.matches(":hover") || ahead.hunt?.abort())
      return box
    },
  }
}
