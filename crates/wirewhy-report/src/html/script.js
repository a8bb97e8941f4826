"use strict";
(function () {
  var table = document.getElementById("causes");
  var filter = document.getElementById("filter");
  var shown = document.getElementById("shown");

  function openTarget() {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    for (var at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
    if (target) target.scrollIntoView();
  }

  function key(row, column) {
    var cell = row.cells[column];
    var number = cell.getAttribute("data-sort");
    return number === null ? cell.textContent : Number(number);
  }

  function sort(header, column) {
    var down = header.getAttribute("aria-sort") !== "descending";
    var rows = Array.prototype.slice.call(table.tBodies[0].rows);
    rows.sort(function (a, b) {
      var one = key(a, column);
      var other = key(b, column);
      var order = one < other ? -1 : one > other ? 1 : 0;
      return down ? -order : order;
    });
    rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) {
      cell.setAttribute("aria-sort", "none");
    });
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  function sift() {
    var words = filter.value.toLowerCase().split(/\s+/);
    var count = 0;
    Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
      var text = row.textContent.toLowerCase();
      var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
      row.hidden = !fits;
      if (fits) count += 1;
    });
    shown.textContent = count + " of " + table.tBodies[0].rows.length + " shown";
  }

  if (table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (header, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      header.textContent = "";
      header.appendChild(button);
      button.addEventListener("click", function () { sort(header, column); });
    });
    if (filter && table.tBodies[0].rows.length > 3) {
      filter.closest("p").hidden = false;
      filter.addEventListener("input", sift);
    }
  }

  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (one) { one.open = false; });
    closed = [];
  });
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
