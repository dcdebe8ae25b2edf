/**
 * The simulated disk of one machine: what its processes see (the cache), and what a loss of power would leave. Only a prefix of a file that was
 * synchronised is safe, and only under a name that its directory was synchronised with; of the rest any part may be there, any byte of the last
 * write, and zeros where blocks were not written. tests/simulation/contractDisk.ts runs the same cases against it and the machine's own disk.
 */
import type { Random } from './random.ts'

/** A file, whatever it is called. */
interface Inode {
  readonly number: number
  bytes: Buffer
  /** So much of it survives anything. */
  durable: number
  /** A synchronisation failed: what was not durable then never is, whatever a later one says. */
  spoiled: boolean
  readonly holder: Holder | undefined
}

/** Who has taken a directory. */
export interface Holder {
  readonly alive: boolean
}

interface Directory {
  readonly names: Map<string, Inode>
  /** What a loss of power leaves. */
  durableNames: Map<string, Inode>
}

/** What the system says no with. */
export class DiskError extends Error {
  readonly code: string

  constructor(code: string, path: string) {
    super(`${code}: ${path}`)
    this.code = code
  }
}

export class FakeDisk {
  readonly #directories = new Map<string, Directory>()
  #made = 0
  /** Called with a file's number and what is in it, whenever something was appended. */
  onWritten: (file: number, bytes: Buffer) => void = () => undefined
  /** Called with a file's number and what of it survives anything. */
  onDurable: (file: number, bytes: Buffer) => void = () => undefined

  makeDirectory(path: string): void {
    const parts = path.split('/')
    for (let length = 1; length <= parts.length; length++) {
      const name = parts.slice(0, length).join('/')
      if (!this.#directories.has(name)) this.#directories.set(name, { names: new Map(), durableNames: new Map() })
    }
  }

  list(path: string): string[] {
    const directory = this.#directories.get(path)
    if (directory === undefined) return []
    const below = [...this.#directories.keys()].filter((name) => name !== path && parentOf(name) === path).map(nameOf)
    return [...directory.names.keys(), ...below].toSorted()
  }

  read(path: string): Buffer {
    return Buffer.from(this.#file(path).bytes)
  }

  create(path: string): void {
    const { names } = this.#parent(path)
    if (names.has(nameOf(path))) throw new DiskError('EEXIST', path)
    names.set(nameOf(path), this.#inode(Buffer.alloc(0), undefined))
  }

  /** By a handle: the file stays the same under any name, or none. */
  handle(path: string): { readonly append: (bytes: Uint8Array) => void; readonly sync: () => void; readonly spoil: () => void } {
    const inode = this.#file(path)
    return {
      append: (bytes) => {
        inode.bytes = Buffer.concat([inode.bytes, bytes])
        this.onWritten(inode.number, inode.bytes)
      },
      sync: () => {
        if (inode.spoiled) return
        inode.durable = inode.bytes.length
        this.#told(inode)
      },
      spoil: () => {
        inode.spoiled = true
      },
    }
  }

  rename(from: string, to: string): void {
    const inode = this.#file(from)
    this.#parent(from).names.delete(nameOf(from))
    this.#parent(to).names.set(nameOf(to), inode)
  }

  remove(path: string): void {
    this.#file(path)
    this.#parent(path).names.delete(nameOf(path))
  }

  syncDirectory(path: string): void {
    const directory = this.#directories.get(path)
    if (directory === undefined) throw new DiskError('ENOENT', path)
    directory.durableNames = new Map(directory.names)
    for (const inode of directory.names.values()) this.#told(inode)
  }

  /** @returns the name of the lock; undefined where a living process has the directory */
  lock(path: string, holder: Holder): string | undefined {
    const directory = this.#directories.get(path)
    if (directory === undefined) throw new DiskError('ENOENT', path)
    const locks = [...directory.names].filter(([name]) => name.startsWith('lock.'))
    if (locks.some(([, inode]) => inode.holder?.alive === true)) return undefined
    const highest = Math.max(0, ...locks.map(([name]) => Number(name.slice(5))))
    for (const [name] of locks) directory.names.delete(name)
    const own = `lock.${highest + 1}`
    const inode = this.#inode(Buffer.alloc(0), holder)
    directory.names.set(own, inode)
    directory.durableNames.set(own, inode)
    return own
  }

  /** Names are as they were or as they are, each for itself; of what was not synchronised any part is there. @returns whether blocks were left out */
  losePower(random: Random): boolean {
    let holes = false
    for (const directory of this.#directories.values()) {
      const { names, durableNames } = directory
      const after = new Map<string, Inode>()
      for (const name of new Set([...names.keys(), ...durableNames.keys()])) {
        const inode = random.chance(0.5) ? names.get(name) : durableNames.get(name)
        if (inode !== undefined) after.set(name, inode)
      }
      names.clear()
      for (const [name, inode] of after) {
        names.set(name, inode)
        if (inode.durable === inode.bytes.length) continue
        const kept = Buffer.from(inode.bytes.subarray(0, random.between(inode.durable, inode.bytes.length)))
        // Later blocks may be there and earlier ones not.
        if (random.chance(0.2) && kept.length > inode.durable) {
          const from = random.between(inode.durable, kept.length - 1)
          kept.fill(0, from, random.between(from + 1, kept.length))
          holes = true
        }
        inode.bytes = kept
        inode.durable = kept.length
        inode.spoiled = false
      }
      directory.durableNames = new Map(names)
    }
    return holes
  }

  /** Paths of all files. */
  files(): string[] {
    return [...this.#directories].flatMap(([path, { names }]) => [...names.keys()].map((name) => `${path}/${name}`))
  }

  #inode(bytes: Buffer, holder: Holder | undefined): Inode {
    return { number: ++this.#made, bytes, durable: 0, spoiled: false, holder }
  }

  #told(inode: Inode): void {
    const isNamed = [...this.#directories.values()].some(({ durableNames }) => [...durableNames.values()].includes(inode))
    if (isNamed) this.onDurable(inode.number, inode.bytes.subarray(0, inode.durable))
  }

  #parent(path: string): Directory {
    const directory = this.#directories.get(parentOf(path))
    if (directory === undefined) throw new DiskError('ENOENT', path)
    return directory
  }

  #file(path: string): Inode {
    const inode = this.#parent(path).names.get(nameOf(path))
    if (inode === undefined) throw new DiskError('ENOENT', path)
    return inode
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
