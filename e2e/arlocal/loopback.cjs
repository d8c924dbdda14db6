// arlocal listens on every address and has no option against it: loaded before it,
// this keeps its server on 127.0.0.1.
const net = require('node:net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  const callback = rest.find((one) => typeof one === 'function')
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, callback)
}
