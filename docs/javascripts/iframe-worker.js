// A browser does not start workers from files on the disk. This lets the search work there: the worker runs in a hidden
// frame instead. Over http nothing changes.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), { hidden: true }))
      const receive = event => {
        if (event.source === frame.contentWindow) {
          const message = new MessageEvent("message", { data: event.data })
          this.dispatchEvent(message)
          if (this.onmessage) this.onmessage(message)
        }
      }
      addEventListener("message", receive)
      this.ready = new Promise(resolve => { frame.onload = resolve })
      // The frame has another postMessage, the one of a worker: take that of this window.
      this.send = message => this.ready.then(() => window.postMessage.call(frame.contentWindow, message, "*"))
      this.terminate = () => { removeEventListener("message", receive); frame.remove() }
      frame.srcdoc = `<script>
        postMessage = message => parent.postMessage(message, "*")
        importScripts = (...names) => names.reduce((before, name) => before.then(() => new Promise((done, failed) => {
          const script = Object.assign(document.createElement("script"), { src: name, onload: done, onerror: failed })
          document.body.appendChild(script)
        })), Promise.resolve())
      <\/script><body><script src="${address}"><\/script>`
    }
    postMessage(message) { this.send(message) }
  }
}
