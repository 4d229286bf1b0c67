// Points drawn by WebGL: places and colours are buffers, the view is three numbers. Dim points are drawn under lit ones.
const VERTEX = `#version 300 es
in vec2 place; in vec4 colour; uniform vec4 view; uniform vec2 scale; uniform float size; uniform float pass; out vec4 ink;
void main() {
  bool lit = colour.a > 0.5;
  gl_Position = vec4((place - view.xy) * scale, 0.0, 1.0);
  if (place.x < -30000.0 || lit != (pass > 0.5)) gl_Position = vec4(2.0, 2.0, 0.0, 1.0);
  gl_PointSize = size;
  ink = colour;
}`
const FRAGMENT = `#version 300 es
precision highp float; in vec4 ink; uniform float size; out vec4 paint;
void main() {
  float edge = (0.5 - length(gl_PointCoord - 0.5)) * size;
  float there = clamp(edge, 0.0, 1.0);
  if (there <= 0.0) discard;
  paint = vec4(ink.rgb, 1.0) * ink.a * there;
}`

function makePlot(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true, preserveDrawingBuffer: true })
  if (!gl) return null
  const program = gl.createProgram()
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind)
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    gl.attachShader(program, shader)
  }
  gl.linkProgram(program)
  gl.useProgram(program)
  const uniform = Object.fromEntries(["view", "scale", "size", "pass"].map((name) => [name, gl.getUniformLocation(program, name)]))
  const buffer = (name, count, type, normalised) => {
    const made = gl.createBuffer(), at = gl.getAttribLocation(program, name)
    gl.bindBuffer(gl.ARRAY_BUFFER, made)
    gl.enableVertexAttribArray(at)
    gl.vertexAttribPointer(at, count, type, normalised, 0, 0)
    return (values) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, made)
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW)
    }
  }
  const self = { places: buffer("place", 2, gl.FLOAT, false), colours: buffer("colour", 4, gl.UNSIGNED_BYTE, true) }
  gl.enable(gl.BLEND)
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
  // scale: from the units of places to pixels of the page.
  self.draw = (count, middle, scale, size, dense) => {
    gl.viewport(0, 0, canvas.width, canvas.height)
    gl.clearColor(0, 0, 0, 0)
    gl.clear(gl.COLOR_BUFFER_BIT)
    if (!count) return
    gl.uniform4f(uniform.view, middle[0], middle[1], 0, 0)
    gl.uniform2f(uniform.scale, (2 * scale * dense) / canvas.width, (2 * scale * dense) / canvas.height)
    gl.uniform1f(uniform.size, size * dense)
    for (const pass of [0, 1]) {
      gl.uniform1f(uniform.pass, pass)
      gl.drawArrays(gl.POINTS, 0, count)
    }
  }
  return self
}
