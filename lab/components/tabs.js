// A row of tabs. What was clicked is open at once, and stays so whatever the page says of clicks before; only another
// turn, as by the Back button, opens what the page says.
const STATES = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const row = parentElement.querySelector(".tabs")
  const state = STATES.get(parentElement) ?? { turn: null, names: "" }
  STATES.set(parentElement, state)
  const show = (name) => {
    for (const tab of row.children) {
      tab.ariaSelected = tab.textContent === name
      tab.tabIndex = tab.textContent === name ? 0 : -1
    }
  }
  const choose = (name) => {
    show(name)
    setStateValue("clicked", { turn: state.turn, name })
  }
  const names = data.names.join("\n")
  if (state.turn === data.turn && state.names === names) return
  Object.assign(state, { turn: data.turn, names })
  row.replaceChildren(...data.names.map((name) => {
    const tab = document.createElement("button")
    Object.assign(tab, { type: "button", role: "tab", textContent: name })
    tab.onclick = () => tab.ariaSelected === "true" || choose(name)
    return tab
  }))
  row.onkeydown = (event) => {
    const tabs = [...row.children], at = tabs.indexOf(event.target), last = tabs.length - 1
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key]
    if (next === undefined) return
    event.preventDefault()
    const tab = tabs[(next + tabs.length) % tabs.length]
    tab.focus()
    tab.click()
  }
  show(data.open)
}
