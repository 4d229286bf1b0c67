// What the lab sends: columns of what is known of each point, and frames of a map while it is made.

async function refusal(answer) {
  return new Error((await answer.json().catch(() => ({}))).error ?? "the lab does not answer")
}

// The columns of an atlas: "values" beside what their header says.
async function loadColumns(id, clusters, signal) {
  const answer = await fetch(`/api/maps/${id}/points?clusters=${clusters}`, { signal })
  if (!answer.ok) throw await refusal(answer)
  const bytes = await answer.arrayBuffer(), length = new Uint32Array(bytes, 0, 1)[0]
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)))
  let at = 4 + length
  for (const one of head.columns) {
    one.values = new (one.bytes === 2 ? Int16Array : Uint8Array)(bytes, at, head.count)
    at += one.bytes * head.count
  }
  return head.order.map((name) => head.columns.find((one) => one.name === name))
}

// The frames of a map, each given to `seen`; an error when the last was not finished.
async function loadMap(id, asked, signal, seen) {
  const answer = await fetch(`/api/maps/${id}/layout?${asked}`, { signal })
  if (!answer.ok) throw await refusal(answer)
  let done = false
  await readFrames(answer.body, (frame) => {
    done = Boolean(frame.finished)
    seen(frame)
  })
  if (!done) throw new Error("the map was not finished: the lab ended it")
}

// The whole frames in a stream of bytes: number, total, count, finished (four whole numbers), then the places.
async function readFrames(body, seen) {
  const reader = body.getReader()
  let kept = new Uint8Array(0)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const joined = new Uint8Array(kept.length + value.length)
    joined.set(kept)
    joined.set(value, kept.length)
    kept = joined
    let at = 0
    while (kept.length - at >= 16) {
      const [number, total, count, finished] = new Uint32Array(kept.slice(at, at + 16).buffer)
      const size = 16 + 4 * count
      if (kept.length - at < size) break
      seen({ number, total, finished, places: new Int16Array(kept.slice(at + 16, at + size).buffer) })
      at += size
    }
    kept = kept.slice(at)
  }
}
