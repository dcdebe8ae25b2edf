/** Ports of this machine: which are free, which are taken. */
import { connect, createServer } from 'node:net'

/** A port of 127.0.0.1 that was free a moment ago. Whoever listens on it next must be ready to find it taken. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port)
        else reject(new Error('the system gave no port'))
      })
    })
  })
}

/** Whether `port` can be listened on at `host`; otherwise the system's reason (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`). */
export function whyNotListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message)
    })
    server.listen(port, host, () => {
      server.close(() => {
        resolve(undefined)
      })
    })
  })
}

/** Sends `request` to 127.0.0.1 and returns what came back until `enough` held; undefined on any failure or after `patienceMs`. */
export function ask(
  port: number,
  request: string,
  enough: (answer: string) => boolean,
  patienceMs: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ host: '127.0.0.1', port })
    const end = (result: string | undefined): void => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(patienceMs, () => {
      end(undefined)
    })
    socket.once('error', () => {
      end(undefined)
    })
    socket.once('close', () => {
      end(undefined)
    })
    socket.once('connect', () => socket.write(request))
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
      if (enough(answer)) end(answer)
    })
  })
}
