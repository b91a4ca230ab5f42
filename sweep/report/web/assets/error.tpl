% rebase("base", title="sweep")
<h1>{{sentence}}</h1>
% if is_away:
<p>Load the page again in a moment; the server's log says more.</p>
% end
<p><a href="{{links.INDEX}}">All studies</a></p>
