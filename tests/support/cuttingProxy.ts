/**
 * A TCP proxy in front of a server, which loses answers on demand: the request arrives, what the server says to it does not. It can also stand still, as a
 * server does that was stopped, and lead somewhere else.
 */
import { createServer, connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll } from 'vitest'

export interface CuttingProxy {
  /** The server's URL, through the proxy. */
  readonly url: string
  /**
   * The next answer is not passed back; when the server has given it, its connection is cut. Resolves then.
   *
   * @param asked in the request whose answer it is; absent: any
   */
  cutNextAnswer(asked?: string): Promise<void>
  /** No connection gets through until `mend`. */
  sever(): void
  mend(): void
  /** Connections are taken and nothing is passed on, either way, until `thaw`; then all of it is. */
  freeze(): void
  thaw(): void
  /** Ends every connection; new ones go to another server. */
  leadTo(serverUrl: string): void
}

export async function startCuttingProxy(serverUrl: string): Promise<CuttingProxy> {
  let target = new URL(serverUrl)
  const pairs = new Set<readonly [Socket, Socket]>()
  let severed = false
  let frozen = false
  let cutting: { readonly asked: string; readonly answered: () => void } | undefined

  const server = createServer((client) => {
    if (severed) {
      client.destroy()
      return
    }
    const upstream = connect(Number(target.port), target.hostname)
    const pair = [client, upstream] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of pair) socket.on('close', end).on('error', end)
    if (frozen) for (const socket of pair) socket.pause()
    let isAsked = false
    client.on('data', (bytes) => {
      isAsked ||= cutting !== undefined && bytes.includes(cutting.asked)
      upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      if (cutting === undefined || !isAsked) {
        client.write(bytes)
        return
      }
      const { answered } = cutting
      cutting = undefined
      end()
      answered()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    server.close()
  })
  const address = server.address()
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(typeof address === 'object' ? address?.port : '')
  return {
    url: url.href,
    cutNextAnswer: (asked = '') =>
      new Promise((resolve) => {
        cutting = { asked, answered: resolve }
      }),
    sever() {
      severed = true
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
    mend() {
      severed = false
    },
    freeze() {
      frozen = true
      for (const pair of pairs) for (const socket of pair) socket.pause()
    },
    thaw() {
      frozen = false
      for (const pair of pairs) for (const socket of pair) socket.resume()
    },
    leadTo(other) {
      target = new URL(other)
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
  }
}

const ends: (() => void)[] = []
afterAll(() => {
  for (const end of ends) end()
})
