% rebase("base", title=f"{study} · live · sweep", scripts=(plotly,), modules=("live.js",))
<header>
{{!navigation}}
<h1>{{study}} <span class="state" id="state"></span></h1>
<p id="description" hidden></p>
<p class="warning" id="fallback" hidden></p>
</header>
<p class="warning" id="alarm" role="alert" hidden></p>
<noscript><p class="warning">This page needs JavaScript. The <a href="{{links.report(study)}}">report</a> says without it how far the study is.</p></noscript>
<div id="live" data-study="{{study}}" data-api="{{links.API}}">
<section aria-labelledby="progress-head">
<h2 id="progress-head">Progress</h2>
<p id="summary" aria-live="polite"></p>
<div class="bar" id="bar" aria-hidden="true"></div>
<ul class="outcomes" id="outcomes" aria-label="Trials by outcome"></ul>
<dl class="cards" id="cards"></dl>
<p class="soft" id="age"></p>
</section>
<section id="trial" aria-labelledby="trial-head" hidden></section>
<section class="pair" aria-label="Figures">
<figure><div class="plot" id="curves" role="img" aria-describedby="curves-text"></div><figcaption id="curves-text"></figcaption></figure>
<figure><div class="plot" id="history" role="img" aria-describedby="history-text"></div><figcaption id="history-text"></figcaption></figure>
</section>
% for name, head in (("slots", "In training"), ("workers", "Workers"), ("problems", "Pruned, diverged and failed"), ("runs", "Runs"), ("messages", "Log")):
<section aria-labelledby="{{name}}-head">
<h2 id="{{name}}-head">{{head}}</h2>
<div id="{{name}}"></div>
</section>
% end
</div>
<script type="application/json" id="style">{{!script_json(style)}}</script>
