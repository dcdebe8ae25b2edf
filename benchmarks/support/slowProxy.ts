/** A TCP proxy in front of a server that can make every answer come later. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface SlowProxy {
  /** The server's URL, through the proxy. */
  readonly url: string
  /** From now on what the server says takes so much longer. */
  delay(ms: number): void
  close(): void
}

export async function startSlowProxy(serverUrl: string): Promise<SlowProxy> {
  const target = new URL(serverUrl)
  const open = new Set<Socket>()
  let delayMs = 0
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: Number(target.port), host: target.hostname, noDelay: true })
    const end = (): void => {
      for (const socket of [client, upstream]) {
        open.delete(socket)
        socket.destroy()
      }
    }
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on('close', end).on('error', end)
    }
    client.on('data', (bytes) => upstream.write(bytes))
    let lastMs = 0
    upstream.on('data', (bytes) => {
      const nowMs = performance.now()
      // Nothing overtakes what was said before it.
      lastMs = Math.max(lastMs, nowMs + delayMs)
      if (lastMs <= nowMs) client.write(bytes)
      else setTimeout(() => client.writable && client.write(bytes), lastMs - nowMs)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(typeof address === 'object' ? address?.port : '')
  return {
    url: url.href,
    delay(ms) {
      delayMs = ms
    },
    close() {
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}
