// How long rokka's own JavaScript client takes: microseconds by what is made, as JSON.
'use strict'

const { createRequire } = require('node:module')
const { join } = require('node:path')

const load = createRequire(join(process.argv[2], 'package.json'))
const rokka = load('rokka').default || load('rokka')
const { names, widths, key } = JSON.parse(process.argv[3])
const { render } = rokka({ apiKey: 'none' })

const url = (name, width) => {
  const [hash, filename] = name.split('.')[0].split('/')
  const steps = [{ name: 'resize', options: { width } }]
  return render.getUrl('acme', hash, 'webp', steps, { filename })
}

const made = {
  url: (name) => url(name, 640),
  signed: (name) => render.signUrl(url(name, 640), key),
  srcset: (name) => widths.map((width) => `${url(name, width)} ${width}w`).join(', '),
}

const now = () => Number(process.hrtime.bigint()) / 1000

// The best of many short rounds, as in the Python part; the first ones warm up.
const measured = (make) => {
  let best = Infinity
  for (let round = 0; round < 3000; round++) {
    const start = now()
    for (const name of names) make(name)
    best = Math.min(best, (now() - start) / names.length)
  }
  return best
}

const answers = Object.entries(made).map(([kind, make]) => [
  kind,
  { sample: make(names[0]), microseconds: measured(make) },
])
process.stdout.write(JSON.stringify(Object.fromEntries(answers)))
