// Calls rokka's own clients: a JSON list of {function, arguments} in, a JSON list of answers out.
'use strict'

const { createRequire } = require('node:module')
const { join } = require('node:path')

// The packages are where they were installed, which is not beside this file.
const load = createRequire(join(process.argv[2], 'package.json'))
const rokka = load('rokka').default || load('rokka')
const render = { ...load('rokka-render') }
const client = rokka({ apiKey: 'none' }).render

const functions = {
  'rokka.getUrl': (...given) => client.getUrl(...given),
  'rokka-render.getUrl': (...given) => render.getUrl(...given),
  'rokka.getUrlFromUrl': (...given) => client.getUrlFromUrl(...given),
  'rokka-render.getUrlFromUrl': (...given) => render.getUrlFromUrl(...given),
  'rokka.addStackVariables': (...given) => client.addStackVariables(...given),
  'rokka-render.addStackVariables': (...given) => render.addStackVariables(...given),
  'rokka.getUrlComponents': (url) => client.getUrlComponents(new URL(url)),
  'rokka.signUrl': (url, key, until, slice) =>
    client.signUrl(url, key, {
      until: until ? new Date(until) : null,
      roundDateUpTo: slice,
    }),
}

const chunks = []
process.stdin.on('data', (chunk) => chunks.push(chunk))
process.stdin.on('end', () => {
  const calls = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  const answers = calls.map((call) => functions[call.function](...call.arguments))
  process.stdout.write(JSON.stringify(answers))
})
