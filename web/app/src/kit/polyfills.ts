// What browsers of the last three years have and Safari of iOS 15.0 does not. Only what is used here.

if (typeof Object.hasOwn !== "function") {
  Object.hasOwn = (object: object, key: PropertyKey) => Object.prototype.hasOwnProperty.call(object, key);
}
