/** A TCP proxy in front of a server, which loses answers on demand: the request arrives, what the server says to it does not. */
import { createServer, connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll } from 'vitest'

export interface CuttingProxy {
  /** The server's URL, through the proxy. */
  readonly url: string
  /** From now on nothing is passed back; when the server has answered, the connection is cut. Resolves then. */
  cutNextAnswer(): Promise<void>
  /** No connection gets through until `mend`. */
  sever(): void
  mend(): void
}

export async function startCuttingProxy(serverUrl: string): Promise<CuttingProxy> {
  const target = new URL(serverUrl)
  const pairs = new Set<readonly [Socket, Socket]>()
  let severed = false
  let cutting: { answered: () => void } | undefined

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
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes) => {
      if (cutting === undefined) {
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
    cutNextAnswer: () =>
      new Promise((resolve) => {
        cutting = { answered: resolve }
      }),
    sever() {
      severed = true
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
    mend() {
      severed = false
    },
  }
}

const ends: (() => void)[] = []
afterAll(() => {
  for (const end of ends) end()
})
